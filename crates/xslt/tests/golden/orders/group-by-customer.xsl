<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:o="urn:example:orders" xmlns:l="urn:example:lines" xmlns:x="urn:example:extra" exclude-result-prefixes="o l x">
<xsl:key name="c" match="o:Order" use="o:Customer"/><xsl:template match="/"><r><xsl:for-each select="//o:Order[generate-id()=generate-id(key('c',o:Customer)[1])]"><c id="{o:Customer}"><xsl:for-each select="key('c',o:Customer)"><o><xsl:value-of select="@number"/></o></xsl:for-each></c></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
