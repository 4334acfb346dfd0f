<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:copy-of select="//CUSTOMER[GROUP = 20][LIMIT &gt; 1]/ACCOUNT"/></r></xsl:template>
</xsl:stylesheet>
