<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:o="urn:example:orders" xmlns:l="urn:example:lines" xmlns:x="urn:example:extra" exclude-result-prefixes="o l x">
<xsl:template match="/"><xsl:variable name="all" select="//l:Line"/><r><xsl:for-each select="$all"><xsl:variable name="me" select="."/><l same="{count($all[l:Item = $me/l:Item])}" later="{count($all[l:Price &gt; $me/l:Price])}"/></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
