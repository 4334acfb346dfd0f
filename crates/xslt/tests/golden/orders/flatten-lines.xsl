<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:o="urn:example:orders" xmlns:l="urn:example:lines" xmlns:x="urn:example:extra" exclude-result-prefixes="o l x">
<xsl:template match="/"><Lines><xsl:for-each select="//l:Line"><Line order="{ancestor::o:Order/@number}" customer="{../../o:Customer}" item="{l:Item}" amount="{format-number(l:Qty * l:Price, '0.00')}"/></xsl:for-each></Lines></xsl:template>
</xsl:stylesheet>
