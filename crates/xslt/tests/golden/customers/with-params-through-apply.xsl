<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:apply-templates select="//CUSTOMER"><xsl:with-param name="prefix" select="'DK-'"/></xsl:apply-templates></r></xsl:template>
<xsl:template match="CUSTOMER"><xsl:param name="prefix" select="'none'"/><xsl:param name="suffix">!</xsl:param><c><xsl:value-of select="concat($prefix,ACCOUNT,$suffix)"/></c></xsl:template>
</xsl:stylesheet>
