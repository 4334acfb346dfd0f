<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:text disable-output-escaping="yes">&lt;raw/&gt;</xsl:text><xsl:value-of select="//CUSTOMER[5]/NAME" disable-output-escaping="yes"/></r></xsl:template>
</xsl:stylesheet>
