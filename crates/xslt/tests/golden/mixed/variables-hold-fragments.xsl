<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:variable name="f"><a>x</a><b>y</b></xsl:variable><xsl:template match="/"><r s="{$f}" l="{string-length($f)}" b="{boolean($f)}" c="{$f = 'xy'}"><xsl:copy-of select="$f"/><xsl:value-of select="$f"/></r></xsl:template>
</xsl:stylesheet>
