<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:o="urn:example:orders" xmlns:l="urn:example:lines" xmlns:x="urn:example:extra" exclude-result-prefixes="o l x">
<xsl:template match="/"><r><xsl:apply-templates select="//l:Item | //o:Customer"/></r></xsl:template><xsl:template match="l:Item"><i/></xsl:template><xsl:template match="o:Customer"><c/></xsl:template>
</xsl:stylesheet>
