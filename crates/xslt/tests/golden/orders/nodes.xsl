<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:o="urn:example:orders" xmlns:l="urn:example:lines" xmlns:x="urn:example:extra" exclude-result-prefixes="o l x">
<xsl:template match="/">
  <xsl:for-each select="/"><r>
    <v e="count(//comment())"><xsl:value-of select="count(//comment())"/></v>
    <v e="count(//processing-instruction(&quot;route&quot;))"><xsl:value-of select="count(//processing-instruction(&quot;route&quot;))"/></v>
    <v e="//processing-instruction()"><xsl:value-of select="//processing-instruction()"/></v>
    <v e="normalize-space(//comment())"><xsl:value-of select="normalize-space(//comment())"/></v>
    <v e="count(/*/node())"><xsl:value-of select="count(/*/node())"/></v>
    <v e="count(//text())"><xsl:value-of select="count(//text())"/></v>
    <v e="count(//text()[normalize-space()])"><xsl:value-of select="count(//text()[normalize-space()])"/></v>
    <v e="string-length(//l:Note)"><xsl:value-of select="string-length(//l:Note)"/></v>
    <v e="//l:Note"><xsl:value-of select="//l:Note"/></v>
  </r></xsl:for-each>
</xsl:template>
</xsl:stylesheet>
