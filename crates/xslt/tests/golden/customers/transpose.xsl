<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:for-each select="//CUSTOMER[1]/*"><xsl:variable name="p" select="position()"/><col name="{name()}"><xsl:for-each select="//CUSTOMER"><v><xsl:value-of select="*[$p]"/></v></xsl:for-each></col></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
