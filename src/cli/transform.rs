//! `entrepot transform`: applies a stylesheet to a document, as `xsltproc` does.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use entrepot_xslt::{Message, Records, Report, Resolver, Resource, ResourceKind, Stylesheet, Way};

use super::Failure;
use crate::clock::{Clock, Stopwatch};
use crate::config::decoded;

#[derive(clap::Args)]
pub struct Transform {
    /// The stylesheet.
    stylesheet: PathBuf,
    /// The document.
    input: PathBuf,
    /// A parameter of the stylesheet; may be given several times.
    #[arg(long = "param", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// Transform record by record if the stylesheet allows it, and say which way was taken.
    #[arg(long)]
    records: bool,
    /// Print hits and time of each template.
    #[arg(long)]
    profile: bool,
}

impl Transform {
    pub fn run(self) -> Result<(), Failure> {
        let shelf = Shelf::beside(&self.stylesheet, &self.input);
        let name = self.stylesheet.to_string_lossy();
        let text = std::fs::read(&self.stylesheet).map_err(|error| Failure::no(format!("cannot read {name}: {error}")))?;
        let sheet = Stylesheet::compile(&text, &name, &shelf).map_err(|errors| Failure::no(errors.to_string()))?;
        for warning in sheet.warnings() {
            eprintln!("warning: {warning}");
        }
        let input = self.input.to_string_lossy();
        let source = File::open(&self.input).map_err(|error| Failure::no(format!("cannot read {input}: {error}")))?;
        let mut say = |message: Message| eprintln!("{}", message.text);
        let watch = Stopwatch::start();
        let clock = move || u64::try_from(watch.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let records = if self.records { Records::WhenAllowed } else { Records::Never };
        let now = Clock::system().now().0 / 1000;
        let mut transformation = sheet.transform().resolver(&shelf).source_uri(&input).on_message(&mut say).records(records).now(now, 0);
        for pair in &self.parameters {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(Failure::usage(format!("--param {pair}: found no \"=\", expected NAME=VALUE")));
            };
            transformation = transformation.parameter(name, value);
        }
        if self.profile {
            transformation = transformation.profile(&clock);
        }
        let mut output = BufWriter::new(std::io::stdout());
        let report = transformation.run(source, &mut output).map_err(|error| Failure::no(error.to_string()))?;
        output.flush().map_err(|error| Failure::no(format!("cannot write the result: {error}")))?;
        self.tell(&report);
        Ok(())
    }

    fn tell(&self, report: &Report) {
        match &report.way {
            Way::RecordByRecord { records } => eprintln!("record by record: {records} records"),
            Way::WholeBecause(reason) => eprintln!("read whole: {reason}"),
            _ => {}
        }
        for entry in &report.profile {
            let place = entry.place.as_ref().map(ToString::to_string).unwrap_or_default();
            let ms = |nanoseconds: u64| nanoseconds as f64 / 1e6;
            let (own, all) = (ms(entry.own_nanoseconds), ms(entry.total_nanoseconds));
            eprintln!("{:>10} hits  {own:>12.3} ms own  {all:>12.3} ms in all  {}  {place}", entry.hits, entry.label);
        }
    }
}

/// The files a stylesheet may refer to: in the folder of the stylesheet or of the document, or beside the stylesheet's folder. Entities
/// of documents only in their own folder: a document may come from somebody else.
struct Shelf {
    stylesheets: Vec<PathBuf>,
    documents: PathBuf,
}

impl Shelf {
    fn beside(stylesheet: &Path, input: &Path) -> Shelf {
        let folder = |file: &Path| file.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_default();
        let own = folder(stylesheet);
        // Beside it, unless that would be the whole file system.
        let around = own.parent().filter(|parent| parent.parent().is_some()).map_or(own.clone(), Path::to_owned);
        let documents = folder(input);
        Shelf { stylesheets: vec![around, own, documents.clone()], documents }
    }
}

impl Resolver for Shelf {
    fn resolve(&self, uri: &str, kind: ResourceKind) -> Result<Resource, String> {
        let path = uri.strip_prefix("file://").or_else(|| uri.strip_prefix("file:")).unwrap_or(uri);
        let real = Path::new(&decoded(path)).canonicalize().map_err(|error| format!("{uri}: {error}"))?;
        let allowed = match kind {
            ResourceKind::Entity => real.starts_with(&self.documents),
            _ => self.stylesheets.iter().any(|folder| real.starts_with(folder)),
        };
        if !allowed {
            return Err(format!("{uri} is neither beside the stylesheet nor beside the document"));
        }
        let content = std::fs::read(&real).map_err(|error| format!("{uri}: {error}"))?;
        Ok(Resource { uri: uri.to_owned(), content })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_beside_is_given() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["sheets/own", "lib", "input", "secret"] {
            std::fs::create_dir_all(path(name)).expect("a folder");
        }
        for name in ["sheets/own/main.xsl", "sheets/base.xsl", "input/a.xml", "input/e.txt", "secret/s.txt"] {
            std::fs::write(path(name), "<a/>").expect("a file");
        }
        let shelf = Shelf::beside(&path("sheets/own/main.xsl"), &path("input/a.xml"));
        let ask = |name: &str, kind| shelf.resolve(&path(name).to_string_lossy(), kind).is_ok();
        assert!(ask("sheets/base.xsl", ResourceKind::Stylesheet));
        assert!(ask("input/a.xml", ResourceKind::Document));
        assert!(ask("input/e.txt", ResourceKind::Entity));
        assert!(!ask("sheets/base.xsl", ResourceKind::Entity));
        assert!(!ask("secret/s.txt", ResourceKind::Document));
        assert!(!ask("sheets/../secret/s.txt", ResourceKind::Document));
        assert!(shelf.resolve("http://127.0.0.1/x", ResourceKind::Document).is_err());
        assert_eq!(decoded("a%20b%zz%C3%A9"), "a b%zzé");
    }
}
