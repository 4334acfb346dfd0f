<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:key name="k" match="CUSTOMER" use="CURRENCY"/>
<xsl:template match="/"><r><xsl:for-each select="//CUSTOMER[count(. | key('k', CURRENCY)[1]) = 1]"><g c="{CURRENCY}"><xsl:value-of select="count(key('k', CURRENCY))"/></g></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
