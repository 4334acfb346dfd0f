<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="section//section/title"><sub/></xsl:template><xsl:template match="/article/title"><top/></xsl:template><xsl:template match="title"><t/></xsl:template><xsl:template match="text()"/><xsl:template match="/"><r><xsl:apply-templates/></r></xsl:template>
</xsl:stylesheet>
