<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:ms="urn:schemas-microsoft-com:xslt" exclude-result-prefixes="ms">
<xsl:template match="/"><r><d><xsl:value-of select="ms:format-date(//CUSTOMER[1]/CREATED,'dd.MM.yyyy')"/></d><c><xsl:value-of select="ms:string-compare('a','b')"/></c><n><xsl:value-of select="ms:number('12.5')"/></n><l><xsl:value-of select="ms:local-name('p:x')"/></l><t><xsl:value-of select="ms:format-time(/Document/@created,'HH:mm')"/></t></r></xsl:template>
</xsl:stylesheet>
