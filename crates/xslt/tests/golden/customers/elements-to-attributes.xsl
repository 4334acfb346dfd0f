<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="Document"><Document><xsl:apply-templates select="CUSTOMER"/></Document></xsl:template>
<xsl:template match="CUSTOMER"><CUSTOMER><xsl:for-each select="*"><xsl:attribute name="{name()}"><xsl:value-of select="."/></xsl:attribute></xsl:for-each></CUSTOMER></xsl:template>
</xsl:stylesheet>
