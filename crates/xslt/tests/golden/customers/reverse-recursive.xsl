<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template name="rev"><xsl:param name="t"/><xsl:if test="$t"><xsl:call-template name="rev"><xsl:with-param name="t" select="substring($t,2)"/></xsl:call-template><xsl:value-of select="substring($t,1,1)"/></xsl:if></xsl:template>
<xsl:template match="/"><r><xsl:for-each select="//CITY"><n><xsl:call-template name="rev"><xsl:with-param name="t" select="."/></xsl:call-template></n></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
