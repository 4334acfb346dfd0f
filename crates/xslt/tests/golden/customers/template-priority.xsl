<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="CUSTOMER[GROUP=20]" priority="2"><twenty/></xsl:template>
<xsl:template match="CUSTOMER"><other/></xsl:template>
<xsl:template match="*"><xsl:apply-templates/></xsl:template><xsl:template match="text()"/>
</xsl:stylesheet>
