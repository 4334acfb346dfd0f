<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:for-each select="//CUSTOMER"><xsl:sort select="NAME" data-type="text" order="descending"/><c p="{position()}"><xsl:value-of select="ACCOUNT"/></c></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
