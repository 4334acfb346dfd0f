<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r a="{function-available('concat')}" b="{function-available('nope')}" c="{element-available('xsl:sort')}" d="{element-available('xsl:for-each')}" e="{system-property('xsl:version')}"/></xsl:template>
</xsl:stylesheet>
