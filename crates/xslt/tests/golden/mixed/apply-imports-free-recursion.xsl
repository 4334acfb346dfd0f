<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="*"><xsl:param name="d" select="0"/><e d="{$d}" n="{name()}"><xsl:apply-templates select="*"><xsl:with-param name="d" select="$d + 1"/></xsl:apply-templates></e></xsl:template>
</xsl:stylesheet>
