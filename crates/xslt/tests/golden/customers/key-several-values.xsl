<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:key name="k" match="CUSTOMER" use="*"/><xsl:template match="/"><r><xsl:for-each select="key('k','USD')|key('k','20')"><a><xsl:value-of select="ACCOUNT"/></a></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
