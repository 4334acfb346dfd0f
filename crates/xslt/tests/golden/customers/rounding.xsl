<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/">
  <xsl:for-each select="/"><r>
    <v e="round(2.5)"><xsl:value-of select="round(2.5)"/></v>
    <v e="round(-2.5)"><xsl:value-of select="round(-2.5)"/></v>
    <v e="round(0.5)"><xsl:value-of select="round(0.5)"/></v>
    <v e="round(-0.5)"><xsl:value-of select="round(-0.5)"/></v>
    <v e="round(1.4999)"><xsl:value-of select="round(1.4999)"/></v>
    <v e="floor(-1.5)"><xsl:value-of select="floor(-1.5)"/></v>
    <v e="ceiling(-1.5)"><xsl:value-of select="ceiling(-1.5)"/></v>
    <v e="ceiling(1.01)"><xsl:value-of select="ceiling(1.01)"/></v>
    <v e="floor(1.99)"><xsl:value-of select="floor(1.99)"/></v>
    <v e="round(1234567.005 * 100) div 100"><xsl:value-of select="round(1234567.005 * 100) div 100"/></v>
    <v e="round(number(&quot;x&quot;))"><xsl:value-of select="round(number(&quot;x&quot;))"/></v>
    <v e="round(1 div 0)"><xsl:value-of select="round(1 div 0)"/></v>
  </r></xsl:for-each>
</xsl:template>
</xsl:stylesheet>
