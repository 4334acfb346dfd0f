<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:variable name="b" select="$a * 2"/><xsl:variable name="a" select="count(//CUSTOMER)"/><xsl:variable name="frag"><x><xsl:value-of select="$b"/></x></xsl:variable>
<xsl:template match="/"><r a="{$a}" b="{$b}"><xsl:copy-of select="$frag"/><xsl:value-of select="string-length($frag)"/></r></xsl:template>
</xsl:stylesheet>
