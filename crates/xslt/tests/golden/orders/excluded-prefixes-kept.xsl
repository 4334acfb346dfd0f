<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:o="urn:example:orders" xmlns:l="urn:example:lines" xmlns:x="urn:example:extra">
<xsl:template match="/"><r><xsl:value-of select="count(//l:Line)"/></r></xsl:template>
</xsl:stylesheet>
