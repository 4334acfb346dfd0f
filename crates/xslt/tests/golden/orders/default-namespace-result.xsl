<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:o="urn:example:orders" xmlns:l="urn:example:lines" xmlns:x="urn:example:extra" exclude-result-prefixes="o l x">
<xsl:template match="/"><Envelope xmlns="urn:soap"><Body><xsl:apply-templates select="//o:Order[1]"/></Body></Envelope></xsl:template>
<xsl:template match="o:Order"><Plain xmlns=""><In xmlns="urn:in"/></Plain></xsl:template>
</xsl:stylesheet>
