//! Traffic between a D365 client and the real system, recorded once and answered again without it: `entrepot record` and `entrepot replay`.
//!
//! A recording is a folder: `recording.json` says what it is, each exchange is a file `000001.json`, and a body that is large or no text lies beside it
//! (`000001.request`, `000001.response`). People read and edit these files. No secret gets into them (`redact`), and their addresses lead nowhere:
//! what pointed at the recorder, the real system or its storage points at [`PLACE`], and at whoever replays when it is replayed (`places`).

pub mod places;
pub mod record;
pub mod redact;
pub mod replay;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where a recording's addresses point; nothing can ever be there (RFC 2606 §2).
pub const PLACE: &str = "https://recorded.invalid";
/// A larger text is kept as it is, in a file of its own, and no address in it is changed.
pub const TEXT_BYTES_MAX: u64 = 4 << 20;
/// A text up to this stands in the exchange's file.
const INLINE_BYTES_MAX: usize = 64 << 10;
/// The format that this program writes and reads.
const FORMAT: u32 = 1;
const ABOUT: &str = "recording.json";

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// When it was asked, in UTC.
    pub at: String,
    /// How long the answer took, in milliseconds.
    pub milliseconds: u64,
    /// What the client sent.
    pub request: Asked,
    /// What it got.
    pub response: Answered,
}

/// A recorded request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The headers that tell something.
    pub headers: Vec<(String, String)>,
    /// The body, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
}

/// A recorded answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The words behind it in the status line.
    pub reason: String,
    /// The headers that clients read.
    pub headers: Vec<(String, String)>,
    /// The body, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
}

/// A body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// As text, without secrets.
    Text(String),
    /// In this file of the folder, byte for byte.
    File(String),
}

#[derive(Serialize, Deserialize)]
struct About {
    format: u32,
    upstream: String,
}

/// The folder of a recording.
pub struct Folder(PathBuf);

impl Folder {
    /// A new recording of `upstream`; its folder is made, or is empty.
    pub fn create(path: &Path, upstream: &str) -> Result<Folder, String> {
        let say = |error: io::Error| format!("cannot record into {}: {error}", path.display());
        if std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(format!("cannot record into {}: it is not empty\n  hint: name a new folder", path.display()));
        }
        crate::files::make_private_directory(path).map_err(say)?;
        let about = About { format: FORMAT, upstream: upstream.to_owned() };
        let text = serde_json::to_string_pretty(&about).unwrap_or_default() + "\n";
        crate::files::write_private(&path.join(ABOUT), text.as_bytes()).map_err(say)?;
        Ok(Folder(path.to_owned()))
    }

    /// A recording that is there, with its exchanges in their order.
    pub fn open(path: &Path) -> Result<(Folder, Vec<Exchange>), String> {
        let read = |name: &str| {
            let file = path.join(name);
            std::fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))
        };
        let about: About = serde_json::from_str(&read(ABOUT)?).map_err(|error| format!("{}: {error}", path.join(ABOUT).display()))?;
        if about.format != FORMAT {
            return Err(format!("{} has format {}, this program reads {FORMAT}", path.display(), about.format));
        }
        let listed = std::fs::read_dir(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let mut names: Vec<String> = listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.retain(|name| {
            name.strip_suffix(".json").is_some_and(|number| number.len() == 6 && number.bytes().all(|byte| byte.is_ascii_digit()))
        });
        names.sort();
        let mut exchanges = Vec::new();
        for name in names {
            let exchange: Exchange =
                serde_json::from_str(&read(&name)?).map_err(|error| format!("{}: {error}", path.join(&name).display()))?;
            exchanges.push(exchange);
        }
        Ok((Folder(path.to_owned()), exchanges))
    }

    /// Writes an exchange; its bodies were kept before.
    pub fn keep(&self, number: u32, exchange: &Exchange) -> io::Result<()> {
        let text = serde_json::to_string_pretty(exchange).map_err(io::Error::other)? + "\n";
        crate::files::write_private(&self.0.join(format!("{number:06}.json")), text.as_bytes())
    }

    /// A body as it stands in the exchange: a short text there, everything else in a file named after the exchange and what it is.
    pub fn keep_text(&self, number: u32, what: &str, text: String) -> io::Result<Body> {
        if text.len() <= INLINE_BYTES_MAX {
            return Ok(Body::Text(text));
        }
        let name = format!("{number:06}.{what}");
        crate::files::write_private(&self.0.join(&name), text.as_bytes())?;
        Ok(Body::File(name))
    }

    /// A file for a body that streams, and its name.
    pub fn create_file(&self, number: u32, what: &str) -> io::Result<(File, String)> {
        let name = format!("{number:06}.{what}");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(self.0.join(&name))?;
        Ok((file, name))
    }

    /// The same for a body in which secrets are looked for: it has no name, so that whatever happens nothing of it stays. (Where a file that is open
    /// cannot lose its name it keeps it until the exchange is over.)
    pub fn create_nameless(&self, number: u32, what: &str) -> io::Result<(File, String)> {
        let made = self.create_file(number, what)?;
        self.remove_file(&made.1);
        Ok(made)
    }

    /// Keeps such a body as it is after all, because it is no text.
    pub fn keep_nameless(&self, file: &mut File, number: u32, what: &str) -> io::Result<()> {
        use std::io::{Seek, SeekFrom};
        if self.0.join(format!("{number:06}.{what}")).exists() {
            return Ok(());
        }
        file.seek(SeekFrom::Start(0))?;
        io::copy(file, &mut self.create_file(number, what)?.0).map(|_| ())
    }

    /// Opens a body's file.
    pub fn open_file(&self, name: &str) -> io::Result<File> {
        // A recording may come from somebody else.
        if name.is_empty() || name.contains(['/', '\\', ':']) || name.starts_with('.') {
            return Err(io::Error::other("this is no name of a file in the recording"));
        }
        File::open(self.0.join(name))
    }

    /// Removes what there is of an exchange that was not recorded.
    pub fn forget(&self, number: u32) {
        for what in ["request", "response"] {
            self.remove_file(&format!("{number:06}.{what}"));
        }
    }

    /// Removes a body's file that turned out to be text.
    pub fn remove_file(&self, name: &str) {
        let _ = std::fs::remove_file(self.0.join(name));
    }
}

/// The whole text of a file of at most [`TEXT_BYTES_MAX`]; `None` when it is larger, or no UTF-8.
pub fn short_text(file: &mut File) -> io::Result<Option<String>> {
    use std::io::{Seek, SeekFrom};
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.by_ref().take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(if bytes.len() as u64 > TEXT_BYTES_MAX { None } else { String::from_utf8(bytes).ok() })
}

/// Whether a body of this content type is text in which addresses and secrets are looked for.
pub fn is_text(content_type: &str) -> bool {
    let kind = content_type.to_ascii_lowercase();
    ["json", "xml", "text/", "x-www-form-urlencoded", "javascript"].iter().any(|word| kind.contains(word))
}
