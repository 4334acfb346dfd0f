<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/">
  <xsl:for-each select="/"><r>
    <v e="format-number(1234567.005,'#,##0.00')"><xsl:value-of select="format-number(1234567.005,'#,##0.00')"/></v>
    <v e="format-number(0.5,'0')"><xsl:value-of select="format-number(0.5,'0')"/></v>
    <v e="format-number(1.5,'0')"><xsl:value-of select="format-number(1.5,'0')"/></v>
    <v e="format-number(2.5,'0')"><xsl:value-of select="format-number(2.5,'0')"/></v>
    <v e="format-number(1234.5,'#')"><xsl:value-of select="format-number(1234.5,'#')"/></v>
    <v e="format-number(0,'#.##')"><xsl:value-of select="format-number(0,'#.##')"/></v>
    <v e="format-number(0.456,'.00')"><xsl:value-of select="format-number(0.456,'.00')"/></v>
    <v e="format-number(12,'000.0')"><xsl:value-of select="format-number(12,'000.0')"/></v>
    <v e="format-number(-1234.567,'#,##0.00')"><xsl:value-of select="format-number(-1234.567,'#,##0.00')"/></v>
    <v e="format-number(0.125,'0.00')"><xsl:value-of select="format-number(0.125,'0.00')"/></v>
    <v e="format-number(0.135,'0.00')"><xsl:value-of select="format-number(0.135,'0.00')"/></v>
    <v e="format-number(1000000,'#,###')"><xsl:value-of select="format-number(1000000,'#,###')"/></v>
    <v e="format-number(123,'0,000')"><xsl:value-of select="format-number(123,'0,000')"/></v>
    <v e="format-number(12.3456,'#.###')"><xsl:value-of select="format-number(12.3456,'#.###')"/></v>
  </r></xsl:for-each>
</xsl:template>
</xsl:stylesheet>
