<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:decimal-format NaN=""/><xsl:template match="/"><r><xsl:for-each select="//LIMIT"><l><xsl:value-of select="format-number(., '0.00')"/></l></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
