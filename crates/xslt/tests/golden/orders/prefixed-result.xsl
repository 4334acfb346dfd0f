<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:o="urn:example:orders" xmlns:l="urn:example:lines" xmlns:x="urn:example:extra" exclude-result-prefixes="o l x">
<xsl:template match="/"><t:Out xmlns:t="urn:t"><xsl:for-each select="//o:Order"><t:Row n="{@number}"/></xsl:for-each></t:Out></xsl:template>
</xsl:stylesheet>
