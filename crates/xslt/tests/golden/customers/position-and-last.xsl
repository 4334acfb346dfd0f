<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:for-each select="//CUSTOMER"><xsl:value-of select="ACCOUNT"/><xsl:if test="position() != last()">, </xsl:if></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
