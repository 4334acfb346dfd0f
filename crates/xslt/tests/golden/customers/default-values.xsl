<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:for-each select="//CUSTOMER"><c><xsl:choose><xsl:when test="string(LIMIT)"><xsl:value-of select="LIMIT"/></xsl:when><xsl:otherwise>0.00</xsl:otherwise></xsl:choose></c></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
