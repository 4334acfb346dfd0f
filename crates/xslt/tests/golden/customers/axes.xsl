<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/">
  <xsl:for-each select="/"><r>
    <v e="count(//CUSTOMER[3]/preceding-sibling::*)"><xsl:value-of select="count(//CUSTOMER[3]/preceding-sibling::*)"/></v>
    <v e="count(//CUSTOMER[3]/following-sibling::CUSTOMER)"><xsl:value-of select="count(//CUSTOMER[3]/following-sibling::CUSTOMER)"/></v>
    <v e="count(//CITY/ancestor::*)"><xsl:value-of select="count(//CITY/ancestor::*)"/></v>
    <v e="count(//CITY[. = &quot;Lyon&quot;]/preceding::CITY)"><xsl:value-of select="count(//CITY[. = &quot;Lyon&quot;]/preceding::CITY)"/></v>
    <v e="count(//CITY[. = &quot;Lyon&quot;]/following::CITY)"><xsl:value-of select="count(//CITY[. = &quot;Lyon&quot;]/following::CITY)"/></v>
    <v e="name(//CUSTOMER[2]/*[last()])"><xsl:value-of select="name(//CUSTOMER[2]/*[last()])"/></v>
    <v e="//CUSTOMER[last()]/@id"><xsl:value-of select="//CUSTOMER[last()]/@id"/></v>
    <v e="//CUSTOMER[last() - 1]/@id"><xsl:value-of select="//CUSTOMER[last() - 1]/@id"/></v>
    <v e="//CUSTOMER[@id = 4]/following-sibling::*[1]/@id"><xsl:value-of select="//CUSTOMER[@id = 4]/following-sibling::*[1]/@id"/></v>
    <v e="//CUSTOMER[@id = 4]/preceding-sibling::*[1]/@id"><xsl:value-of select="//CUSTOMER[@id = 4]/preceding-sibling::*[1]/@id"/></v>
    <v e="//CUSTOMER[@id = 4]/preceding-sibling::*[2]/@id"><xsl:value-of select="//CUSTOMER[@id = 4]/preceding-sibling::*[2]/@id"/></v>
    <v e="(//CUSTOMER/@id)[3]"><xsl:value-of select="(//CUSTOMER/@id)[3]"/></v>
    <v e="//CUSTOMER[position() &gt; 4]/@id"><xsl:value-of select="//CUSTOMER[position() &gt; 4]/@id"/></v>
    <v e="count(//@*)"><xsl:value-of select="count(//@*)"/></v>
    <v e="count(/descendant-or-self::node())"><xsl:value-of select="count(/descendant-or-self::node())"/></v>
    <v e="name(/*/..)"><xsl:value-of select="name(/*/..)"/></v>
    <v e="name((//CITY)[1]/..)"><xsl:value-of select="name((//CITY)[1]/..)"/></v>
    <v e="count(//CUSTOMER/*[1])"><xsl:value-of select="count(//CUSTOMER/*[1])"/></v>
    <v e="count(//CUSTOMER[1]/descendant::text())"><xsl:value-of select="count(//CUSTOMER[1]/descendant::text())"/></v>
  </r></xsl:for-each>
</xsl:template>
</xsl:stylesheet>
