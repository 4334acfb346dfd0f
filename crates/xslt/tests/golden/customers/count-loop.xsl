<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template name="loop"><xsl:param name="i" select="1"/><xsl:if test="$i &lt;= 5"><i><xsl:value-of select="$i * $i"/></i><xsl:call-template name="loop"><xsl:with-param name="i" select="$i + 1"/></xsl:call-template></xsl:if></xsl:template><xsl:template match="/"><r><xsl:call-template name="loop"/></r></xsl:template>
</xsl:stylesheet>
