<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:ms="urn:schemas-microsoft-com:xslt" exclude-result-prefixes="ms">
<xsl:template match="/"><xsl:variable name="first"><xsl:for-each select="//CUSTOMER"><xsl:sort select="@id"/><c id="{@id}"><xsl:value-of select="LIMIT"/></c></xsl:for-each></xsl:variable><r><xsl:for-each select="ms:node-set($first)/c[number() &gt; 0]"><l p="{position()}" b="{preceding-sibling::c[1]/@id}"><xsl:value-of select="@id"/></l></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
