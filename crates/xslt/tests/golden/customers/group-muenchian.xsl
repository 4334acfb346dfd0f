<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:key name="by-group" match="CUSTOMER" use="GROUP"/>
<xsl:template match="/"><r><xsl:for-each select="//CUSTOMER[generate-id() = generate-id(key('by-group', GROUP)[1])]"><xsl:sort select="GROUP"/><group id="{GROUP}" count="{count(key('by-group', GROUP))}" total="{sum(key('by-group', GROUP)/LIMIT[number(.) = number(.)])}"><xsl:for-each select="key('by-group', GROUP)"><xsl:sort select="ACCOUNT"/><a><xsl:value-of select="ACCOUNT"/></a></xsl:for-each></group></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
