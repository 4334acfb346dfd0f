<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:for-each select="//CURRENCY[not(. = preceding::CURRENCY)]"><c><xsl:value-of select="."/></c></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
