<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:for-each select="//CUSTOMER"><t><xsl:value-of select="sum((preceding-sibling::CUSTOMER|.)/LIMIT[. != ''])"/></t></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
