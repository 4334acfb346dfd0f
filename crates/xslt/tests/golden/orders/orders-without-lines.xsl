<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:o="urn:example:orders" xmlns:l="urn:example:lines" xmlns:x="urn:example:extra" exclude-result-prefixes="o l x">
<xsl:template match="/"><r><xsl:for-each select="//o:Order[not(l:Lines/l:Line)]"><o n="{@number}"/></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
