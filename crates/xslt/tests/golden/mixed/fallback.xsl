<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><q:unknown xmlns:q="urn:q" xsl:extension-element-prefixes="q"><xsl:fallback><fell/></xsl:fallback></q:unknown></r></xsl:template>
</xsl:stylesheet>
