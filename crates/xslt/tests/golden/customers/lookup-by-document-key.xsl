<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" exclude-result-prefixes="m" xmlns:m="urn:map">
<m:map><m:e k="EUR">978</m:e><m:e k="USD">840</m:e><m:e k="CHF">756</m:e></m:map>
<xsl:key name="code" match="m:e" use="@k"/>
<xsl:template match="/"><r><xsl:for-each select="//CUSTOMER"><xsl:variable name="c" select="CURRENCY"/><n><xsl:for-each select="document('')"><xsl:value-of select="key('code',$c)"/></xsl:for-each></n></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
