<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><xsl:message>starting <xsl:value-of select="count(//CUSTOMER)"/></xsl:message><r/></xsl:template>
</xsl:stylesheet>
