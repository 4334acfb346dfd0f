<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:for-each select="//p"><p en="{lang('en')}" gb="{lang('en-gb')}" de="{lang('DE')}"/></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
