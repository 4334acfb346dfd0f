<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="@*|node()"><xsl:copy><xsl:apply-templates select="@*|node()"/></xsl:copy></xsl:template>
<xsl:template match="CUSTOMER"><CustCustomerV3Entity><xsl:apply-templates select="@*|node()"/></CustCustomerV3Entity></xsl:template>
<xsl:template match="ACCOUNT"><CUSTOMERACCOUNT><xsl:apply-templates/></CUSTOMERACCOUNT></xsl:template>
</xsl:stylesheet>
