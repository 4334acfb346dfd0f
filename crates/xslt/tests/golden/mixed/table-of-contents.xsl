<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><toc><xsl:apply-templates select="article/section" mode="toc"/></toc></xsl:template><xsl:template match="section" mode="toc"><e n="{title}"><xsl:attribute name="no"><xsl:number level="multiple" count="section" format="1.1"/></xsl:attribute><xsl:apply-templates select="section" mode="toc"/></e></xsl:template>
</xsl:stylesheet>
