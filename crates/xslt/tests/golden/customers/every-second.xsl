<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:copy-of select="//CUSTOMER[position() mod 2 = 0]/ACCOUNT"/></r></xsl:template>
</xsl:stylesheet>
