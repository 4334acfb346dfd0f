<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:o="urn:example:orders" xmlns:l="urn:example:lines" xmlns:x="urn:example:extra">
<xsl:output cdata-section-elements="l:Note"/><xsl:template match="/"><r><xsl:copy-of select="//l:Note"/></r></xsl:template>
</xsl:stylesheet>
