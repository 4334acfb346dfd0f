<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:e="http://exslt.org/common" exclude-result-prefixes="e">
<xsl:template match="/"><xsl:variable name="f"><a>1</a><a>2</a></xsl:variable><r><xsl:value-of select="sum(e:node-set($f)/a)"/></r></xsl:template>
</xsl:stylesheet>
