<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/">
  <xsl:for-each select="/"><r>
    <v e="1 div 3"><xsl:value-of select="1 div 3"/></v>
    <v e="2 div 3"><xsl:value-of select="2 div 3"/></v>
    <v e="0.1 + 0.2"><xsl:value-of select="0.1 + 0.2"/></v>
    <v e="1234567890 + 0.25"><xsl:value-of select="1234567890 + 0.25"/></v>
    <v e="2147483648"><xsl:value-of select="2147483648"/></v>
    <v e="1500000000.10 + 1500000000.20"><xsl:value-of select="1500000000.10 + 1500000000.20"/></v>
    <v e="1 div 0"><xsl:value-of select="1 div 0"/></v>
    <v e="-1 div 0"><xsl:value-of select="-1 div 0"/></v>
    <v e="0 div 0"><xsl:value-of select="0 div 0"/></v>
    <v e="100000000000000000000"><xsl:value-of select="100000000000000000000"/></v>
    <v e="0.0000001"><xsl:value-of select="0.0000001"/></v>
    <v e="123456789012345678"><xsl:value-of select="123456789012345678"/></v>
    <v e="1 - 0.9"><xsl:value-of select="1 - 0.9"/></v>
    <v e="10 mod 3"><xsl:value-of select="10 mod 3"/></v>
    <v e="-10 mod 3"><xsl:value-of select="-10 mod 3"/></v>
    <v e="10 mod -3"><xsl:value-of select="10 mod -3"/></v>
    <v e="5.5 mod 2"><xsl:value-of select="5.5 mod 2"/></v>
    <v e="-0"><xsl:value-of select="-0"/></v>
    <v e=".5"><xsl:value-of select=".5"/></v>
    <v e="5."><xsl:value-of select="5."/></v>
    <v e="100 div 8"><xsl:value-of select="100 div 8"/></v>
    <v e="3 * 1.1"><xsl:value-of select="3 * 1.1"/></v>
    <v e="1.005 * 1000"><xsl:value-of select="1.005 * 1000"/></v>
    <v e="4.35 * 100"><xsl:value-of select="4.35 * 100"/></v>
    <v e="1 div 7"><xsl:value-of select="1 div 7"/></v>
  </r></xsl:for-each>
</xsl:template>
</xsl:stylesheet>
