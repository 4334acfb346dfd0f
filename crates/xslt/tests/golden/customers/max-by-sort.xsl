<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:for-each select="//CUSTOMER/LIMIT[. != '']"><xsl:sort data-type="number" order="descending"/><xsl:if test="position() = 1"><max><xsl:value-of select="."/></max></xsl:if></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
