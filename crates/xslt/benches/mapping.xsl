<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:s="urn:shop" exclude-result-prefixes="s">
  <xsl:key name="by-group" match="s:Order" use="s:Customer/@group"/>
  <xsl:template match="/s:Orders">
    <Groups>
      <xsl:for-each select="s:Order[generate-id() = generate-id(key('by-group', s:Customer/@group)[1])]">
        <xsl:sort select="s:Customer/@group" data-type="number"/>
        <Group id="{s:Customer/@group}" orders="{count(key('by-group', s:Customer/@group))}">
          <xsl:apply-templates select="key('by-group', s:Customer/@group)">
            <xsl:sort select="@placed" order="descending"/>
            <xsl:sort select="s:Customer/s:Name"/>
          </xsl:apply-templates>
        </Group>
      </xsl:for-each>
    </Groups>
  </xsl:template>
  <xsl:template match="s:Order">
    <SalesOrder id="{concat('SO-', format-number(@no, '000000'))}" position="{position()}">
      <Name><xsl:value-of select="normalize-space(s:Customer/s:Name)"/></Name>
      <Date><xsl:value-of select="concat(substring(@placed, 9, 2), '.', substring(@placed, 6, 2), '.', substring(@placed, 1, 4))"/></Date>
      <Amount currency="{@currency}"><xsl:value-of select="format-number(sum(s:Line/s:Price), '#,##0.00')"/></Amount>
      <xsl:for-each select="s:Line">
        <Line no="{position() * 10}" item="{translate(@item, 'I-', '')}">
          <xsl:choose>
            <xsl:when test="@quantity &gt; 10"><Bulk><xsl:value-of select="@quantity * s:Price"/></Bulk></xsl:when>
            <xsl:otherwise><Piece><xsl:value-of select="s:Price"/></Piece></xsl:otherwise>
          </xsl:choose>
        </Line>
      </xsl:for-each>
    </SalesOrder>
  </xsl:template>
</xsl:stylesheet>
