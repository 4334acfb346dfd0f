<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/">
  <xsl:for-each select="/"><r>
    <v e="1 = '1'"><xsl:value-of select="1 = '1'"/></v>
    <v e="true() = 'x'"><xsl:value-of select="true() = 'x'"/></v>
    <v e="'a' != 'b'"><xsl:value-of select="'a' != 'b'"/></v>
    <v e="//ACCOUNT = 'C005'"><xsl:value-of select="//ACCOUNT = 'C005'"/></v>
    <v e="//ACCOUNT != 'C005'"><xsl:value-of select="//ACCOUNT != 'C005'"/></v>
    <v e="not(//ACCOUNT = 'nope')"><xsl:value-of select="not(//ACCOUNT = 'nope')"/></v>
    <v e="//LIMIT &gt; 1000000"><xsl:value-of select="//LIMIT &gt; 1000000"/></v>
    <v e="//LIMIT &lt; -100"><xsl:value-of select="//LIMIT &lt; -100"/></v>
    <v e="boolean('false')"><xsl:value-of select="boolean('false')"/></v>
    <v e="boolean(0)"><xsl:value-of select="boolean(0)"/></v>
    <v e="boolean(//none)"><xsl:value-of select="boolean(//none)"/></v>
    <v e="//none = //none"><xsl:value-of select="//none = //none"/></v>
    <v e="//ACCOUNT = //ACCOUNT"><xsl:value-of select="//ACCOUNT = //ACCOUNT"/></v>
    <v e="'10' &gt; '9'"><xsl:value-of select="'10' &gt; '9'"/></v>
    <v e="'a' &gt; 'b'"><xsl:value-of select="'a' &gt; 'b'"/></v>
    <v e="1 &lt; 2 = true()"><xsl:value-of select="1 &lt; 2 = true()"/></v>
    <v e="true() and false() or true()"><xsl:value-of select="true() and false() or true()"/></v>
    <v e="count(//*) &gt; 5 and not(//X)"><xsl:value-of select="count(//*) &gt; 5 and not(//X)"/></v>
    <v e="//GROUP = 20 and //GROUP != 20"><xsl:value-of select="//GROUP = 20 and //GROUP != 20"/></v>
  </r></xsl:for-each>
</xsl:template>
</xsl:stylesheet>
