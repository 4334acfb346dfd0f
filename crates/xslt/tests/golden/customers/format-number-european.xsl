<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:decimal-format name="de" decimal-separator="," grouping-separator="." NaN="keine Zahl" infinity="unendlich"/>
<xsl:template match="/">
  <xsl:for-each select="/"><r>
    <v e="format-number(1234567.891,'#.##0,00','de')"><xsl:value-of select="format-number(1234567.891,'#.##0,00','de')"/></v>
    <v e="format-number(-0.5,'0,0','de')"><xsl:value-of select="format-number(-0.5,'0,0','de')"/></v>
    <v e="format-number(0 div 0,'0','de')"><xsl:value-of select="format-number(0 div 0,'0','de')"/></v>
    <v e="format-number(1 div 0,'0','de')"><xsl:value-of select="format-number(1 div 0,'0','de')"/></v>
  </r></xsl:for-each>
</xsl:template>
</xsl:stylesheet>
