<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/">
  <xsl:for-each select="/"><r>
    <v e="//CUSTOMER[GROUP='20'][2]/ACCOUNT"><xsl:value-of select="//CUSTOMER[GROUP='20'][2]/ACCOUNT"/></v>
    <v e="//CUSTOMER[2][GROUP='20']/ACCOUNT"><xsl:value-of select="//CUSTOMER[2][GROUP='20']/ACCOUNT"/></v>
    <v e="//CUSTOMER[GROUP='20' and CURRENCY='EUR']/ACCOUNT"><xsl:value-of select="//CUSTOMER[GROUP='20' and CURRENCY='EUR']/ACCOUNT"/></v>
    <v e="//CUSTOMER[not(LIMIT/text())]/ACCOUNT"><xsl:value-of select="//CUSTOMER[not(LIMIT/text())]/ACCOUNT"/></v>
    <v e="//CUSTOMER[contains(NAME,'pple')][last()]/ACCOUNT"><xsl:value-of select="//CUSTOMER[contains(NAME,'pple')][last()]/ACCOUNT"/></v>
    <v e="//CUSTOMER[LIMIT = max]/ACCOUNT"><xsl:value-of select="//CUSTOMER[LIMIT = max]/ACCOUNT"/></v>
    <v e="//CUSTOMER[string-length(NAME) &gt; 15]/ACCOUNT"><xsl:value-of select="//CUSTOMER[string-length(NAME) &gt; 15]/ACCOUNT"/></v>
    <v e="//CUSTOMER[*[. = 'Wien']]/ACCOUNT"><xsl:value-of select="//CUSTOMER[*[. = 'Wien']]/ACCOUNT"/></v>
    <v e="//*[@id &gt; 2][@id &lt; 5]/ACCOUNT"><xsl:value-of select="//*[@id &gt; 2][@id &lt; 5]/ACCOUNT"/></v>
    <v e="//CUSTOMER[count(preceding-sibling::*) = 3]/ACCOUNT"><xsl:value-of select="//CUSTOMER[count(preceding-sibling::*) = 3]/ACCOUNT"/></v>
    <v e="//CUSTOMER[.//text() = 'USD'][1]/ACCOUNT"><xsl:value-of select="//CUSTOMER[.//text() = 'USD'][1]/ACCOUNT"/></v>
    <v e="count(//CUSTOMER[@id mod 2])"><xsl:value-of select="count(//CUSTOMER[@id mod 2])"/></v>
  </r></xsl:for-each>
</xsl:template>
</xsl:stylesheet>
