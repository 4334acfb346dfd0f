<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:comment> made -- here -</xsl:comment><xsl:processing-instruction name="go">a="<xsl:value-of select="count(//*)"/>"</xsl:processing-instruction></r></xsl:template>
</xsl:stylesheet>
