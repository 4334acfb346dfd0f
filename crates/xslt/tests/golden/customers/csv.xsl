<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:output method="text"/>
<xsl:template match="/"><xsl:text>ACCOUNT;NAME;LIMIT&#10;</xsl:text><xsl:for-each select="//CUSTOMER"><xsl:value-of select="concat(ACCOUNT, ';&quot;', normalize-space(NAME), '&quot;;', LIMIT)"/><xsl:text>&#10;</xsl:text></xsl:for-each></xsl:template>
</xsl:stylesheet>
