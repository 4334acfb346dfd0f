<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:attribute-set name="base"><xsl:attribute name="a">1</xsl:attribute><xsl:attribute name="b">2</xsl:attribute></xsl:attribute-set>
<xsl:attribute-set name="more" use-attribute-sets="base"><xsl:attribute name="b">3</xsl:attribute><xsl:attribute name="c"><xsl:value-of select="name()"/></xsl:attribute></xsl:attribute-set>
<xsl:template match="/*"><x xsl:use-attribute-sets="more" d="4"/></xsl:template>
</xsl:stylesheet>
