<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:o="urn:example:orders" xmlns:l="urn:example:lines" xmlns:x="urn:example:extra" exclude-result-prefixes="o l x" xmlns:a="urn:alias">
<xsl:namespace-alias stylesheet-prefix="a" result-prefix="xsl"/><xsl:template match="/"><a:stylesheet version="1.0"><xsl:for-each select="//o:Order"><a:template match="{@number}"/></xsl:for-each></a:stylesheet></xsl:template>
</xsl:stylesheet>
