<html xsl:version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><body><xsl:for-each select="//title"><h1><xsl:value-of select="."/></h1></xsl:for-each></body></html>
