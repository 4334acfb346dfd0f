<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:o="urn:example:orders" xmlns:l="urn:example:lines" xmlns:x="urn:example:extra" exclude-result-prefixes="o l x">
<xsl:output cdata-section-elements="payload"/><xsl:template match="/"><payload>&lt;Order n="<xsl:value-of select="//o:Order[1]/@number"/>"&gt;<xsl:value-of select="//l:Note[1]"/>&lt;/Order&gt;</payload></xsl:template>
</xsl:stylesheet>
