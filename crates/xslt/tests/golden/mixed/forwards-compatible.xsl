<xsl:stylesheet version="3.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:new-thing><xsl:fallback>old</xsl:fallback></xsl:new-thing></r></xsl:template>
</xsl:stylesheet>
