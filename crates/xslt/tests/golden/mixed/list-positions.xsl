<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:for-each select="//item"><i a="{position()}" b="{count(preceding-sibling::item) + 1}" c="{count(preceding::item) + 1}"><xsl:number/>.<xsl:number level="any"/></i></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
