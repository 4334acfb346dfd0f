<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:output method="text"/>
<xsl:template match="/"><Names><xsl:for-each select="//CUSTOMER"><Entry a="{NAME}"><NAME><xsl:value-of select="NAME"/></NAME><e/></Entry></xsl:for-each></Names></xsl:template>
</xsl:stylesheet>
