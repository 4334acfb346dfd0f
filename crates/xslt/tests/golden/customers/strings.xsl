<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/">
  <xsl:for-each select="/"><r>
    <v e="substring('12345', 2, 3)"><xsl:value-of select="substring('12345', 2, 3)"/></v>
    <v e="substring('12345', 1.5, 2.6)"><xsl:value-of select="substring('12345', 1.5, 2.6)"/></v>
    <v e="substring('12345', 0, 3)"><xsl:value-of select="substring('12345', 0, 3)"/></v>
    <v e="substring('12345', 0 div 0, 3)"><xsl:value-of select="substring('12345', 0 div 0, 3)"/></v>
    <v e="substring('12345', -42, 1 div 0)"><xsl:value-of select="substring('12345', -42, 1 div 0)"/></v>
    <v e="substring('12345', 2)"><xsl:value-of select="substring('12345', 2)"/></v>
    <v e="substring-before('2026-11-25','-')"><xsl:value-of select="substring-before('2026-11-25','-')"/></v>
    <v e="substring-after('2026-11-25','-')"><xsl:value-of select="substring-after('2026-11-25','-')"/></v>
    <v e="substring-before('abc','x')"><xsl:value-of select="substring-before('abc','x')"/></v>
    <v e="substring-after('abc','')"><xsl:value-of select="substring-after('abc','')"/></v>
    <v e="normalize-space('  a   b  ')"><xsl:value-of select="normalize-space('  a   b  ')"/></v>
    <v e="translate('bar','abc','AB')"><xsl:value-of select="translate('bar','abc','AB')"/></v>
    <v e="string-length('Zürich')"><xsl:value-of select="string-length('Zürich')"/></v>
    <v e="contains('abc','')"><xsl:value-of select="contains('abc','')"/></v>
    <v e="starts-with('abc','ab')"><xsl:value-of select="starts-with('abc','ab')"/></v>
    <v e="concat('a',1,true())"><xsl:value-of select="concat('a',1,true())"/></v>
    <v e="string(1 = 1)"><xsl:value-of select="string(1 = 1)"/></v>
    <v e="string(0.10)"><xsl:value-of select="string(0.10)"/></v>
    <v e="string(-0.0)"><xsl:value-of select="string(-0.0)"/></v>
    <v e="string(//none)"><xsl:value-of select="string(//none)"/></v>
    <v e="concat('[',//CUSTOMER[2]/NAME,']')"><xsl:value-of select="concat('[',//CUSTOMER[2]/NAME,']')"/></v>
  </r></xsl:for-each>
</xsl:template>
</xsl:stylesheet>
