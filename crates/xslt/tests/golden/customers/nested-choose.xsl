<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="CUSTOMER"><c><xsl:choose><xsl:when test="LIMIT &gt; 10000">large</xsl:when><xsl:when test="LIMIT &gt; 0"><xsl:choose><xsl:when test="CURRENCY='EUR'">small-euro</xsl:when><xsl:otherwise>small</xsl:otherwise></xsl:choose></xsl:when><xsl:when test="LIMIT &lt; 0">negative</xsl:when><xsl:otherwise>none</xsl:otherwise></xsl:choose></c></xsl:template>
<xsl:template match="text()"/>
</xsl:stylesheet>
