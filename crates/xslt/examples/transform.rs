//! `transform STYLESHEET INPUT [--param NAME=VALUE] [--profile] [--records]`: as `xsltproc`, for the conformance runner and for trying things out.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use entrepot_xslt::{Records, Resolver, Resource, ResourceKind, Stylesheet};

/// Files. External entities only from the folder of the document that names them, or below: documents may come from others.
struct Files {
    folder: PathBuf,
}

impl Resolver for Files {
    fn resolve(&self, uri: &str, kind: ResourceKind) -> Result<Resource, String> {
        let plain = decoded(uri.strip_prefix("file://").or_else(|| uri.strip_prefix("file:")).unwrap_or(uri));
        let path = Path::new(&plain);
        if kind == ResourceKind::Entity {
            let real = path.canonicalize().map_err(|error| format!("{uri}: {error}"))?;
            if !real.starts_with(&self.folder) {
                return Err(format!("{uri} is not in the folder of the document"));
            }
        }
        match std::fs::read(path) {
            Ok(content) => Ok(Resource { uri: uri.to_owned(), content }),
            Err(error) => Err(format!("{uri}: {error}")),
        }
    }
}

/// An address as a path: what is written `%20` is a space.
fn decoded(uri: &str) -> String {
    let mut bytes = Vec::with_capacity(uri.len());
    let mut rest = uri;
    while let Some(at) = rest.find('%') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        match rest.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[at + 3..];
            }
            None => {
                bytes.push(b'%');
                rest = &rest[at + 1..];
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The folder that a file is in.
fn folder(file: &str) -> PathBuf {
    Path::new(file).canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_default()
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut places = Vec::new();
    let mut parameters = Vec::new();
    let mut profile = false;
    let mut records = Records::Never;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--profile" => profile = true,
            "--records" => records = Records::WhenAllowed,
            "--param" => {
                let pair = arguments.next().ok_or("--param needs NAME=VALUE")?;
                let (name, value) = pair.split_once('=').ok_or("--param needs NAME=VALUE")?;
                parameters.push((name.to_owned(), value.to_owned()));
            }
            _ => places.push(argument),
        }
    }
    let [stylesheet, input] = places.as_slice() else {
        return Err("usage: transform STYLESHEET INPUT [--param NAME=VALUE] [--profile] [--records]".into());
    };
    let text = std::fs::read(stylesheet).map_err(|error| format!("{stylesheet}: {error}"))?;
    let sheet = Stylesheet::compile(&text, stylesheet, &Files { folder: folder(stylesheet) })?;
    for warning in sheet.warnings() {
        eprintln!("warning: {warning}");
    }
    let source = File::open(input).map_err(|error| format!("{input}: {error}"))?;
    let mut output = BufWriter::new(std::io::stdout());
    let mut say = |message: entrepot_xslt::Message| eprintln!("{}", message.text);
    let start = Instant::now();
    let clock = move || start.elapsed().as_nanos() as u64;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs() as i64;
    let files = Files { folder: folder(input) };
    let mut transformation = sheet.transform().resolver(&files).source_uri(input).on_message(&mut say).now(now, 0).records(records);
    for (name, value) in &parameters {
        transformation = transformation.parameter(name, value.as_str());
    }
    if profile {
        transformation = transformation.profile(&clock);
    }
    let report = transformation.run(source, &mut output)?;
    output.flush()?;
    if records == Records::WhenAllowed {
        eprintln!("{:?}", report.way);
    }
    for entry in &report.profile {
        let place = entry.place.as_ref().map(ToString::to_string).unwrap_or_default();
        eprintln!(
            "{:>10} hits {:>12.3} ms own {:>12.3} ms in all  {}  {place}",
            entry.hits,
            ms(entry.own_nanoseconds),
            ms(entry.total_nanoseconds),
            entry.label
        );
    }
    Ok(())
}

fn ms(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}
