<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><r><xsl:for-each select="//CUSTOMER[1]/*"><xsl:element name="{translate(name(),'ABCDEFGHIJKLMNOPQRSTUVWXYZ','abcdefghijklmnopqrstuvwxyz')}" namespace="urn:out:{string-length()}"><xsl:attribute name="p:src" namespace="urn:src"><xsl:value-of select="position()"/></xsl:attribute></xsl:element></xsl:for-each></r></xsl:template>
</xsl:stylesheet>
