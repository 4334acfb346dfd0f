<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="LIMIT"><l><xsl:apply-templates/></l></xsl:template>
</xsl:stylesheet>
