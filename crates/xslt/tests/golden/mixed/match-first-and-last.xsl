<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="item[1]"><first/></xsl:template><xsl:template match="item[last()]"><last/></xsl:template><xsl:template match="item"><mid/></xsl:template><xsl:template match="text()"/><xsl:template match="/"><r><xsl:apply-templates/></r></xsl:template>
</xsl:stylesheet>
