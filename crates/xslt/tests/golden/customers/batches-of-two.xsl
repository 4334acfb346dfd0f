<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:for-each select="//CUSTOMER[position() mod 2 = 1]"><batch no="{position()}"><xsl:copy-of select="ACCOUNT | following-sibling::CUSTOMER[1]/ACCOUNT"/></batch></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
