<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:o="urn:example:orders" xmlns:l="urn:example:lines" xmlns:x="urn:example:extra" exclude-result-prefixes="o l x">
<xsl:template match="/"><r><xsl:for-each select="//o:Order"><o><xsl:for-each select="l:Lines/l:Line"><xsl:if test="position() &gt; 1">, </xsl:if><xsl:value-of select="concat(l:Qty,' x ',l:Item)"/></xsl:for-each></o></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
