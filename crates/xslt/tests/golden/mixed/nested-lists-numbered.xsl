<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:for-each select="//item"><i><xsl:number level="multiple" count="section | item" format="1.1.a"/></i></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
