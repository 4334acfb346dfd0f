<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:for-each select="//CREATED"><d><xsl:value-of select="concat(number(substring(., 9, 2)), '/', number(substring(., 6, 2)), '/', substring(., 3, 2))"/></d></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
