<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><list><xsl:apply-templates select="//CUSTOMER" mode="list"/></list><detail><xsl:apply-templates select="//CUSTOMER[1]" mode="detail"/></detail></r></xsl:template>
<xsl:template match="CUSTOMER" mode="list"><a><xsl:value-of select="ACCOUNT"/></a></xsl:template>
<xsl:template match="CUSTOMER" mode="detail"><xsl:apply-templates mode="detail"/></xsl:template>
<xsl:template match="*" mode="detail"><f n="{local-name()}"><xsl:apply-templates mode="detail"/></f></xsl:template>
</xsl:stylesheet>
