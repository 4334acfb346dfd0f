<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:output method="html" indent="no"/>
<xsl:template match="/"><html><head><title>T</title><script>if (a &lt; b) c();</script></head><body><p class="x">a&#160;b<br/><img src="a b.png" alt="&lt;"/></p><input type="checkbox" checked="checked"/><a href="?a=1&amp;b=ü">l</a></body></html></xsl:template>
</xsl:stylesheet>
