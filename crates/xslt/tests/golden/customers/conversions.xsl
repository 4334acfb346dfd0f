<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/">
  <xsl:for-each select="/"><r>
    <v e="number('12')"><xsl:value-of select="number('12')"/></v>
    <v e="number(' 12.50 ')"><xsl:value-of select="number(' 12.50 ')"/></v>
    <v e="number('1,000')"><xsl:value-of select="number('1,000')"/></v>
    <v e="number('')"><xsl:value-of select="number('')"/></v>
    <v e="number('+1')"><xsl:value-of select="number('+1')"/></v>
    <v e="number('1e3')"><xsl:value-of select="number('1e3')"/></v>
    <v e="number('-')"><xsl:value-of select="number('-')"/></v>
    <v e="number(true())"><xsl:value-of select="number(true())"/></v>
    <v e="number('0x10')"><xsl:value-of select="number('0x10')"/></v>
    <v e="'3' + '4'"><xsl:value-of select="'3' + '4'"/></v>
    <v e="'3' * 2"><xsl:value-of select="'3' * 2"/></v>
    <v e="-'5'"><xsl:value-of select="-'5'"/></v>
    <v e="- -3"><xsl:value-of select="- -3"/></v>
    <v e="string(number('007'))"><xsl:value-of select="string(number('007'))"/></v>
    <v e="number('12.')"><xsl:value-of select="number('12.')"/></v>
    <v e="number('.5')"><xsl:value-of select="number('.5')"/></v>
    <v e="number('--1')"><xsl:value-of select="number('--1')"/></v>
  </r></xsl:for-each>
</xsl:template>
</xsl:stylesheet>
