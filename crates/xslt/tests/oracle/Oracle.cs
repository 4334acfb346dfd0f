// Transforms as Microsoft's XslCompiledTransform does, on Mono. Only for comparing: see compare.py.
using System;
using System.Xml;
using System.Xml.Xsl;

public static class Oracle {
    public static int Main(string[] arguments) {
        try {
            var settings = new XmlReaderSettings { DtdProcessing = DtdProcessing.Parse, XmlResolver = new XmlUrlResolver() };
            var transform = new XslCompiledTransform();
            using (var sheet = XmlReader.Create(arguments[0], settings)) transform.Load(sheet, new XsltSettings(true, false), new XmlUrlResolver());
            var parameters = new XsltArgumentList();
            parameters.XsltMessageEncountered += (sender, message) => Console.Error.WriteLine(message.Message);
            for (int index = 2; index + 1 < arguments.Length; index += 2) parameters.AddParam(arguments[index], "", arguments[index + 1]);
            using (var source = XmlReader.Create(arguments[1], settings))
            using (var writer = XmlWriter.Create(Console.OpenStandardOutput(), transform.OutputSettings))
                transform.Transform(source, parameters, writer, new XmlUrlResolver());
            return 0;
        } catch (Exception error) {
            Console.Error.WriteLine(error.GetType().Name + ": " + error.Message);
            return 1;
        }
    }
}
