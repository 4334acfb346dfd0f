<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:variable name="months">Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec</xsl:variable><xsl:template match="/"><r><xsl:for-each select="//CREATED"><d><xsl:value-of select="concat(substring($months, substring(.,6,2) * 4 - 3, 3), ' ', substring(.,1,4))"/></d></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
