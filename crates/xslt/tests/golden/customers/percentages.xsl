<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:variable name="all" select="sum(//LIMIT[. &gt; 0])"/><xsl:template match="/"><r><xsl:for-each select="//CUSTOMER[LIMIT &gt; 0]"><p><xsl:value-of select="format-number(LIMIT div $all, '0.000%')"/></p></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
