<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template name="pad"><xsl:param name="s"/><xsl:param name="n"/><xsl:choose><xsl:when test="string-length($s) &gt;= $n"><xsl:value-of select="$s"/></xsl:when><xsl:otherwise><xsl:call-template name="pad"><xsl:with-param name="s" select="concat('0',$s)"/><xsl:with-param name="n" select="$n"/></xsl:call-template></xsl:otherwise></xsl:choose></xsl:template>
<xsl:template match="/"><r><xsl:for-each select="//CUSTOMER"><p><xsl:call-template name="pad"><xsl:with-param name="s" select="GROUP"/><xsl:with-param name="n" select="8"/></xsl:call-template></p></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
