<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:for-each select="//CUSTOMER"><n><xsl:number value="position() * 1234567" grouping-separator="," grouping-size="3"/> <xsl:number value="position()" format="(A) "/></n></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
