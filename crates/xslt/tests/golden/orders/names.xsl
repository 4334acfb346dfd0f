<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:o="urn:example:orders" xmlns:l="urn:example:lines" xmlns:x="urn:example:extra" exclude-result-prefixes="o l x">
<xsl:template match="/">
  <xsl:for-each select="/"><r>
    <v e="name(/*)"><xsl:value-of select="name(/*)"/></v>
    <v e="local-name(/*)"><xsl:value-of select="local-name(/*)"/></v>
    <v e="namespace-uri(/*)"><xsl:value-of select="namespace-uri(/*)"/></v>
    <v e="name(//o:Order/@x:priority)"><xsl:value-of select="name(//o:Order/@x:priority)"/></v>
    <v e="namespace-uri(//o:Order/@x:priority)"><xsl:value-of select="namespace-uri(//o:Order/@x:priority)"/></v>
    <v e="namespace-uri(//o:Order/@number)"><xsl:value-of select="namespace-uri(//o:Order/@number)"/></v>
    <v e="name(//processing-instruction())"><xsl:value-of select="name(//processing-instruction())"/></v>
    <v e="count(//l:*)"><xsl:value-of select="count(//l:*)"/></v>
    <v e="count(//o:*)"><xsl:value-of select="count(//o:*)"/></v>
    <v e="count(//@x:*)"><xsl:value-of select="count(//@x:*)"/></v>
    <v e="count(//Line)"><xsl:value-of select="count(//Line)"/></v>
  </r></xsl:for-each>
</xsl:template>
</xsl:stylesheet>
