<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:for-each select="//section[@xml:lang]"><n><xsl:value-of select="concat(name(), ':', normalize-space())"/></n></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
