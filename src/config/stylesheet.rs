//! `transform` of a project's entity and `[xslt]`: stylesheets are read and compiled when the configuration is checked, each file once.
//!
//! What a stylesheet may refer to is bounded here: other stylesheets in or below the folder of the configuration or of a stylesheet that it names;
//! documents (`document()`, whose address may come from a sender) only directly beside a stylesheet. No external entities, no network.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use entrepot_xslt::{CompileError, OutputMethod, Parameter, Place, Resolver, Resource, ResourceKind, Stylesheet};
use toml_edit::{Item, Value};

use super::problem::suggest;
use super::section::Section;
use super::watched::Watched;
use crate::model::format::Format;
use crate::model::project::Direction;
use crate::model::transform::{Budget, GIVEN, Step, told};

/// A larger stylesheet, or document beside one, is refused unread.
const FILE_MAX: u64 = 64 * 1024 * 1024;
/// Faults of one stylesheet that are told.
const FAULTS_MAX: usize = 20;
/// What the places of a stylesheet in the configuration file say.
const INLINE: &str = "inline stylesheet";

/// All stylesheets of a configuration.
pub(super) struct Stylesheets {
    shelf: Arc<Shelf>,
    compiled: RefCell<HashMap<String, Compiled>>,
}

/// A stylesheet, or why there is none.
type Compiled = Result<Stylesheet, Arc<CompileError>>;

impl Stylesheets {
    /// Relative names are relative to `base`, the folder of the configuration.
    pub fn new(base: &Path) -> Stylesheets {
        let shelf = Shelf { base: base.to_owned(), files: Mutex::new(Files { folders: vec![real(base)], watched: Vec::new() }) };
        Stylesheets { shelf: Arc::new(shelf), compiled: RefCell::default() }
    }

    /// The files that were read.
    pub fn watched(&self) -> Vec<Watched> {
        self.shelf.files().watched.clone()
    }

    /// `transform` of an entity.
    pub fn read(&self, section: &Section<'_>) -> Vec<Step> {
        section.texts_or_sections("transform").iter().filter_map(|(entry, name)| self.read_step(entry, name.as_deref())).collect()
    }

    fn read_step(&self, entry: &Section<'_>, name: Option<&str>) -> Option<Step> {
        let (file, inline, parameters) = match name {
            Some(name) => (Some(name.to_owned()), None, Vec::new()),
            // As it stands: $ is a word of XPath.
            None => (entry.text("file"), entry.verbatim("inline"), read_parameters(entry)),
        };
        if name.is_none() {
            entry.judge();
        }
        let (key, name, compiled) = match (file, inline) {
            (Some(file), None) => {
                let key = if name.is_some() { "" } else { "file" };
                (key, file.clone(), self.compile_file(entry, key, &file)?)
            }
            (None, Some(text)) => {
                ("inline", INLINE.to_owned(), Stylesheet::compile(text.as_bytes(), INLINE, &*self.shelf).map_err(Arc::new))
            }
            (None, None) if entry.has("file") || entry.has("inline") => return None,
            _ => {
                entry.problem("file", "a step has one stylesheet: file or inline", "transform = [\"groups.xsl\"]");
                return None;
            }
        };
        let place = |place: Option<&Place>| {
            place.filter(|place| &*place.uri == INLINE).and_then(|place| entry.inside("inline", place.line, place.column))
        };
        match compiled {
            Ok(stylesheet) => {
                for warning in stylesheet.warnings() {
                    let at = warning.place.as_ref().map_or_else(String::new, |place| format!("{place}: "));
                    let hint = warning.hint.clone().unwrap_or_default();
                    entry.told_at(place(warning.place.as_ref()), key, format!("{at}{}", warning.message), hint, true);
                }
                let declared = stylesheet.parameters();
                for (given, _) in parameters.iter().filter(|(given, _)| !declared.contains(given)) {
                    let message = format!("{name} declares no parameter \"{given}\" at its top level");
                    let hint = match declared.as_slice() {
                        [] => format!("declare it: <xsl:param name=\"{given}\"/>"),
                        declared => suggest(given, declared.iter().map(String::as_str)),
                    };
                    entry.warning("parameters", message, hint);
                }
                Some(Step { name, stylesheet, parameters, documents: self.shelf.clone() })
            }
            Err(errors) => {
                for error in errors.errors.iter().take(FAULTS_MAX) {
                    entry.told_at(place(error.place.as_ref()), key, told(error), error.hint.clone().unwrap_or_default(), false);
                }
                None
            }
        }
    }

    fn compile_file(&self, entry: &Section<'_>, key: &str, name: &str) -> Option<Compiled> {
        if let Some(compiled) = self.compiled.borrow().get(name) {
            return Some(compiled.clone());
        }
        let path = self.shelf.base.join(name);
        self.shelf.files().watched.push(Watched::look(&path));
        let text = match read_file(&path) {
            Ok(text) => text,
            Err(reason) => {
                entry.problem(key, format!("{} cannot be read: {reason}", path.display()), "names are relative to the configuration file");
                return None;
            }
        };
        self.shelf.files().folders.push(real(path.parent().unwrap_or(&self.shelf.base)));
        let compiled = Stylesheet::compile(&text, name, &*self.shelf).map_err(Arc::new);
        self.compiled.borrow_mut().insert(name.to_owned(), compiled.clone());
        Some(compiled)
    }
}

/// What stylesheets and formats have to do with each other.
pub(super) fn judge(section: &Section<'_>, steps: &[Step], format: &Format, direction: Option<Direction>, keep: bool) {
    if keep && direction == Some(Direction::Export) {
        section.problem("keep_transformed", "an export's package has the transformed documents", "take it out");
    } else if keep && !section.has("transform") {
        section.warning("keep_transformed", "there is nothing to keep", "it is for what stylesheets give: transform = [\"groups.xsl\"]");
    }
    let Some(last) = steps.last() else { return };
    let xml = matches!(format, Format::Xml(_));
    match (direction, last.stylesheet.output_method()) {
        (Some(Direction::Export), _) if !xml => section.problem(
            "format",
            format!("stylesheets transform XML, and this export is written as {}", format.name()),
            "format = { type = \"xml-element\" }: the first stylesheet is given that, and the last one writes what is sent",
        ),
        (Some(Direction::Import), _) if matches!(format, Format::Excel(_)) => {
            section.problem("format", "no stylesheet writes a workbook", "the format of an import is the one in which the last stylesheet writes");
        }
        (Some(Direction::Import), Some(OutputMethod::Text)) if xml => section.warning(
            "format",
            format!("{} writes text, and it is read as {}", last.name, format.name()),
            "the format of an import is the one in which the last stylesheet writes",
        ),
        (Some(Direction::Import), None | Some(OutputMethod::Xml)) if !xml => section.warning(
            "format",
            format!("{} writes XML, and it is read as {}", last.name, format.name()),
            "the format of an import is the one in which the last stylesheet writes: state it, or <xsl:output method=\"text\"/> in the stylesheet",
        ),
        _ => {}
    }
}

fn read_parameters(entry: &Section<'_>) -> Vec<(String, Parameter)> {
    let Some(section) = entry.section("parameters") else { return Vec::new() };
    let mut parameters = Vec::new();
    for (name, item) in section.keys() {
        if GIVEN.contains(&name) {
            entry.problem(
                "parameters",
                format!("{name} is given by the appliance"),
                format!("choose another name than {}", GIVEN.join(", ")),
            );
            continue;
        }
        let value = match item {
            Item::Value(Value::String(text)) => section.expand("parameters", text.value()).map(Parameter::Text),
            #[expect(clippy::cast_precision_loss, reason = "XPath has no other numbers")]
            Item::Value(Value::Integer(number)) => Some(Parameter::Number(*number.value() as f64)),
            Item::Value(Value::Float(number)) => Some(Parameter::Number(*number.value())),
            Item::Value(Value::Boolean(truth)) => Some(Parameter::Boolean(*truth.value())),
            other => {
                let message = format!("{name} is {}, expected a text, a number or a boolean", other.type_name());
                entry.problem("parameters", message, "parameters = { warehouse = \"24\" }");
                None
            }
        };
        parameters.extend(value.map(|value| (name.to_owned(), value)));
    }
    parameters
}

/// `[xslt]`.
pub(super) fn read_budget(section: Option<Section<'_>>) -> Budget {
    let mut budget = Budget::default();
    let Some(section) = section else { return budget };
    let limits = &mut budget.limits;
    let count = |name, least, most| section.integer(name, least..=most).and_then(|value| u64::try_from(value).ok());
    let small = |name, least, most| count(name, least, i64::from(most)).and_then(|value| u32::try_from(value).ok());
    limits.steps_max = count("steps_max", 1000, i64::MAX).unwrap_or(limits.steps_max);
    limits.depth_max = small("depth_max", 10, 1_000_000).unwrap_or(limits.depth_max);
    limits.nodes_max = small("nodes_max", 100, u32::MAX >> 1).unwrap_or(limits.nodes_max);
    limits.text_bytes_max = section.size("text_max", limits.text_bytes_max, 1024..=4 << 30);
    limits.fragment_bytes_max = limits.text_bytes_max;
    limits.output_bytes_max = section.size("output_max", limits.output_bytes_max, 1024..=1 << 50);
    budget.time_max = section.duration("time_max", budget.time_max, Duration::from_millis(100)..=Duration::from_secs(86_400));
    section.finish();
    budget
}

fn real(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    if metadata.len() > FILE_MAX {
        return Err(format!("it is larger than {} MiB", FILE_MAX >> 20));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

/// The files that stylesheets may refer to.
struct Shelf {
    base: PathBuf,
    files: Mutex<Files>,
}

struct Files {
    /// Folders of stylesheets that were read, as they really are; the first is the configuration's.
    folders: Vec<PathBuf>,
    watched: Vec<Watched>,
}

impl Shelf {
    fn files(&self) -> std::sync::MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver for Shelf {
    fn resolve(&self, uri: &str, kind: ResourceKind) -> Result<Resource, String> {
        if kind == ResourceKind::Entity {
            return Err("external entities are not read".to_owned());
        }
        let plain = uri.strip_prefix("file://").or_else(|| uri.strip_prefix("file:")).unwrap_or(uri);
        // A name as people write it, or as addresses spell it.
        let path = [plain.to_owned(), decoded(plain)].map(|name| self.base.join(name)).into_iter().find(|path| path.exists());
        let path = path.ok_or_else(|| format!("there is no file {uri} beside the configuration"))?;
        let watched = Watched::look(&path);
        let real = path.canonicalize().map_err(|error| format!("{uri}: {error}"))?;
        let folder = real.parent().unwrap_or(&real).to_owned();
        {
            let files = self.files();
            let allowed = match kind {
                ResourceKind::Stylesheet => files.folders.iter().any(|known| folder.starts_with(known)),
                _ => files.folders.contains(&folder),
            };
            if !allowed {
                return Err(match kind {
                    ResourceKind::Stylesheet => format!("{uri} is neither below the configuration's folder nor below that of a stylesheet"),
                    _ => format!("{uri} does not stand in the folder of a stylesheet"),
                });
            }
        }
        let content = read_file(&real).map_err(|error| format!("{uri}: {error}"))?;
        if kind == ResourceKind::Stylesheet {
            let mut files = self.files();
            files.watched.push(watched);
            files.folders.push(folder);
        }
        Ok(Resource { uri: uri.to_owned(), content })
    }
}

/// An address as a path: what is written `%20` is a space.
pub fn decoded(uri: &str) -> String {
    let mut bytes = Vec::with_capacity(uri.len());
    let mut rest = uri.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let pair = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok()).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match pair {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
