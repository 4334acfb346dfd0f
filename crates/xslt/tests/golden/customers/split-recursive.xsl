<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template name="split"><xsl:param name="t"/><xsl:if test="$t"><w><xsl:value-of select="substring-before(concat($t,' '),' ')"/></w><xsl:call-template name="split"><xsl:with-param name="t" select="substring-after($t,' ')"/></xsl:call-template></xsl:if></xsl:template>
<xsl:template match="/"><r><xsl:for-each select="//NAME"><n><xsl:call-template name="split"><xsl:with-param name="t" select="normalize-space()"/></xsl:call-template></n></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
