<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/">
  <xsl:for-each select="/"><r>
    <v e="count(//title | //p)"><xsl:value-of select="count(//title | //p)"/></v>
    <v e="name((//p | //title)[2])"><xsl:value-of select="name((//p | //title)[2])"/></v>
    <v e="(//title | //item)[last()]"><xsl:value-of select="(//title | //item)[last()]"/></v>
    <v e="count(//section/ancestor-or-self::*)"><xsl:value-of select="count(//section/ancestor-or-self::*)"/></v>
    <v e="count(//item/preceding::*)"><xsl:value-of select="count(//item/preceding::*)"/></v>
    <v e="count(//item/following::*)"><xsl:value-of select="count(//item/following::*)"/></v>
    <v e="count(//b/descendant-or-self::*)"><xsl:value-of select="count(//b/descendant-or-self::*)"/></v>
    <v e="string(//p)"><xsl:value-of select="string(//p)"/></v>
    <v e="string-length(/)"><xsl:value-of select="string-length(/)"/></v>
    <v e="count(//node()[self::text() or self::*])"><xsl:value-of select="count(//node()[self::text() or self::*])"/></v>
    <v e="//section[title = &quot;Nested&quot;]/../@id"><xsl:value-of select="//section[title = &quot;Nested&quot;]/../@id"/></v>
    <v e="//item[. = &quot;b&quot;]/following-sibling::item"><xsl:value-of select="//item[. = &quot;b&quot;]/following-sibling::item"/></v>
    <v e="count(id(&quot;s1&quot;))"><xsl:value-of select="count(id(&quot;s1&quot;))"/></v>
  </r></xsl:for-each>
</xsl:template>
</xsl:stylesheet>
