<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/">
  <xsl:for-each select="/"><r>
    <v e="sum(//LIMIT[. != &quot;&quot;])"><xsl:value-of select="sum(//LIMIT[. != &quot;&quot;])"/></v>
    <v e="count(//CUSTOMER)"><xsl:value-of select="count(//CUSTOMER)"/></v>
    <v e="count(//CUSTOMER/@id)"><xsl:value-of select="count(//CUSTOMER/@id)"/></v>
    <v e="sum(//CUSTOMER/@id)"><xsl:value-of select="sum(//CUSTOMER/@id)"/></v>
    <v e="sum(//LIMIT)"><xsl:value-of select="sum(//LIMIT)"/></v>
    <v e="count(//LIMIT[. &gt; 0])"><xsl:value-of select="count(//LIMIT[. &gt; 0])"/></v>
    <v e="number(//CUSTOMER[1]/LIMIT)"><xsl:value-of select="number(//CUSTOMER[1]/LIMIT)"/></v>
    <v e="number(//CUSTOMER[5]/LIMIT)"><xsl:value-of select="number(//CUSTOMER[5]/LIMIT)"/></v>
    <v e="sum(//none)"><xsl:value-of select="sum(//none)"/></v>
    <v e="-sum(//CUSTOMER/@id)"><xsl:value-of select="-sum(//CUSTOMER/@id)"/></v>
  </r></xsl:for-each>
</xsl:template>
</xsl:stylesheet>
