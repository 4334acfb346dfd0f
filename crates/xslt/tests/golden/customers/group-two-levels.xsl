<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:key name="g" match="CUSTOMER" use="GROUP"/><xsl:key name="gc" match="CUSTOMER" use="concat(GROUP,'|',CURRENCY)"/>
<xsl:template match="/"><r><xsl:for-each select="//CUSTOMER[generate-id()=generate-id(key('g',GROUP)[1])]"><g v="{GROUP}"><xsl:for-each select="key('g',GROUP)[generate-id()=generate-id(key('gc',concat(GROUP,'|',CURRENCY))[1])]"><c v="{CURRENCY}" n="{count(key('gc',concat(GROUP,'|',CURRENCY)))}"/></xsl:for-each></g></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
