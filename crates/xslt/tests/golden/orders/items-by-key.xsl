<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:o="urn:example:orders" xmlns:l="urn:example:lines" xmlns:x="urn:example:extra" exclude-result-prefixes="o l x">
<xsl:key name="i" match="l:Line" use="l:Item"/><xsl:template match="/"><r><xsl:for-each select="//l:Line[count(.|key('i',l:Item)[1])=1]"><xsl:sort select="l:Item"/><i n="{l:Item}" q="{sum(key('i',l:Item)/l:Qty)}"/></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
