<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:variable name="lo" select="'abcdefghijklmnopqrstuvwxyzæøåüé'"/><xsl:variable name="up" select="'ABCDEFGHIJKLMNOPQRSTUVWXYZÆØÅÜÉ'"/><xsl:template match="/"><r><xsl:for-each select="//NAME"><n u="{translate(., $lo, $up)}" l="{translate(.,$up,$lo)}"/></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
