<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="CUSTOMER"><c><xsl:number/>:<xsl:number format="001"/>:<xsl:number format="a"/>:<xsl:number format="I"/></c></xsl:template><xsl:template match="text()"/>
</xsl:stylesheet>
