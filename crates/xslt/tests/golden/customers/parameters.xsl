<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:param name="company" select="'dat'"/><xsl:param name="rate" select="1.5"/>
<xsl:template match="/"><r company="{$company}"><xsl:for-each select="//CUSTOMER[LIMIT &gt; 0]"><l><xsl:value-of select="LIMIT * $rate"/></l></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
