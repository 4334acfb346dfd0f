<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" exclude-result-prefixes="m" xmlns:m="urn:map">
<m:map xmlns:m="urn:map"><m:e k="10" v="Retail"/><m:e k="20" v="Wholesale"/></m:map>
<xsl:variable name="map" select="document('')/*/m:map" xmlns:m="urn:map"/>
<xsl:template match="/"><r><xsl:for-each select="//CUSTOMER"><g><xsl:value-of select="$map/m:e[@k = current()/GROUP]/@v" xmlns:m="urn:map"/></g></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
