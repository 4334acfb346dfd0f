<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:apply-templates select="//CUSTOMER"><xsl:sort select="GROUP" data-type="number" order="descending"/><xsl:sort select="NAME"/></xsl:apply-templates></r></xsl:template><xsl:template match="CUSTOMER"><c g="{GROUP}"><xsl:value-of select="normalize-space(NAME)"/></c></xsl:template>
</xsl:stylesheet>
