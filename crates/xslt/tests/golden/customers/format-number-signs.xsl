<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/">
  <xsl:for-each select="/"><r>
    <v e="format-number(-5,'0;(0)')"><xsl:value-of select="format-number(-5,'0;(0)')"/></v>
    <v e="format-number(5,'0;(0)')"><xsl:value-of select="format-number(5,'0;(0)')"/></v>
    <v e="format-number(0.256,'0%')"><xsl:value-of select="format-number(0.256,'0%')"/></v>
    <v e="format-number(0.2567,'0.0%')"><xsl:value-of select="format-number(0.2567,'0.0%')"/></v>
    <v e="format-number(5,'$0.00')"><xsl:value-of select="format-number(5,'$0.00')"/></v>
    <v e="format-number(-5,'$0.00')"><xsl:value-of select="format-number(-5,'$0.00')"/></v>
    <v e="format-number(-5,'0.00 CR;0.00 DB')"><xsl:value-of select="format-number(-5,'0.00 CR;0.00 DB')"/></v>
    <v e="format-number(0 div 0,'0')"><xsl:value-of select="format-number(0 div 0,'0')"/></v>
    <v e="format-number(1 div 0,'0')"><xsl:value-of select="format-number(1 div 0,'0')"/></v>
    <v e="format-number(-1 div 0,'0')"><xsl:value-of select="format-number(-1 div 0,'0')"/></v>
    <v e="format-number(-0.001,'0.00')"><xsl:value-of select="format-number(-0.001,'0.00')"/></v>
    <v e="format-number(0.02,'0&#x2030;')"><xsl:value-of select="format-number(0.02,'0&#x2030;')"/></v>
  </r></xsl:for-each>
</xsl:template>
</xsl:stylesheet>
