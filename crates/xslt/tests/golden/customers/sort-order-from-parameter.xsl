<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:param name="o" select="'descending'"/><xsl:template match="/"><r><xsl:for-each select="//CUSTOMER"><xsl:sort select="@id" data-type="number" order="{$o}"/><xsl:value-of select="@id"/></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
