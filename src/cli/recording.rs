//! `entrepot record` and `entrepot replay`: the real system's traffic, kept and answered again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::Failure;
use crate::clock::Clock;
use crate::edge::{Settings, TlsSettings};
use crate::http::listener::{Listener, Place, Service};
use crate::recording::Folder;
use crate::recording::places::Places;
use crate::recording::record::{Open, Recorder};
use crate::recording::replay::Replayer;

/// The token endpoint of the real system.
const AUTHORITY: &str = "https://login.microsoftonline.com";
/// Where the real system keeps packages.
const STORAGE: &str = "*.blob.core.windows.net";
/// What transfers that are under way have once this stops.
const STOP_GRACE: Duration = Duration::from_secs(5);
const CERTIFICATE_CHECKED_EVERY: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
struct Serving {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8430")]
    listen: SocketAddr,
    /// Where clients reach this, when it is not http:// and the address: it stands in every address that they are handed.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Listen for HTTPS here, too.
    #[arg(long, value_name = "ADDRESS:PORT", requires_all = ["certificate", "key"])]
    https: Option<SocketAddr>,
    /// The certificate for HTTPS and its chain, PEM; `entrepot init --https` makes one for local use.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

impl Serving {
    fn own(&self) -> Result<String, Failure> {
        let url = self.public_url.clone().unwrap_or_else(|| format!("http://{}", super::operate::reachable(self.listen)));
        origin("--public-url", &url)
    }

    /// Serves until a signal comes.
    fn serve(&self, own: &str, service: Arc<dyn Service>, say: impl FnOnce()) -> Result<(), Failure> {
        let scratch = std::env::temp_dir().join(format!("entrepot-{}", uuid::Uuid::new_v4()));
        crate::files::make_private_directory(&scratch)
            .map_err(|error| Failure::no(format!("cannot use {}: {error}", scratch.display())))?;
        let https = match (&self.https, &self.certificate, &self.key) {
            (Some(listen), Some(certificate), Some(key)) => Some(TlsSettings {
                listen: vec![*listen],
                certificate: certificate.clone(),
                key: key.clone(),
                check_every: CERTIFICATE_CHECKED_EVERY,
            }),
            _ => None,
        };
        let place = Place { limits: Settings::default(), plain: vec![self.listen], https, folder: scratch.clone() };
        let listener = Listener::serve(place, Arc::new(Open), service).map_err(Failure::no)?;
        println!("listens at http://{}; clients use {own}", listener.address);
        if let Some(https) = listener.https_address {
            println!("and at https://{https}");
        }
        say();
        println!("stop with Ctrl-C");
        let (sender, receiver) = mpsc::channel();
        // The receiver is gone only when the process ends anyway.
        ctrlc::set_handler(move || {
            let _ = sender.send(());
        })
        .map_err(|error| Failure::no(format!("cannot handle signals: {error}")))?;
        let _ = receiver.recv();
        listener.stop(STOP_GRACE);
        let _ = std::fs::remove_dir_all(&scratch);
        Ok(())
    }
}

/// Scheme, host and port of a URL, without what follows.
fn origin(option: &str, url: &str) -> Result<String, Failure> {
    let url = url.trim_end_matches('/');
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match rest {
        Some(host) if !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)) => {
            Ok(url.to_owned())
        }
        _ => Err(Failure::usage(format!("{option} {url}: expected https:// and a host, without a path"))),
    }
}

#[derive(clap::Args)]
pub struct Record {
    /// A new folder for the recording.
    folder: PathBuf,
    /// The real system, such as <https://contoso.operations.dynamics.com>.
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// Its token endpoint.
    #[arg(long, value_name = "URL", default_value = AUTHORITY)]
    authority: String,
    /// Another host that its answers lead to; `*.` for all below. Given once or more, these take the place of *.blob.core.windows.net.
    #[arg(long, value_name = "HOST")]
    also: Vec<String>,
    /// PEM file with the authorities of these hosts, where they are not on the public web.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    #[command(flatten)]
    serving: Serving,
}

impl Record {
    pub fn run(self) -> Result<(), Failure> {
        let own = self.serving.own()?;
        let also = if self.also.is_empty() { vec![STORAGE.to_owned()] } else { self.also.iter().map(|host| host.to_lowercase()).collect() };
        let places = Places {
            own: own.clone(),
            upstream: origin("--upstream", &self.upstream)?,
            authority: origin("--authority", &self.authority)?,
            also,
        };
        let authorities = self.ca.as_ref().map(|file| read_authorities(file)).transpose()?;
        let folder = Folder::create(&self.folder, &places.upstream).map_err(Failure::no)?;
        let recorder = Arc::new(Recorder::new(places, folder, authorities.as_deref(), Clock::system()));
        let (shown, upstream) = (self.folder.display().to_string(), self.upstream.clone());
        self.serving.serve(&own, recorder.clone(), move || {
            println!("records {upstream} into {shown}: documents as they are, secrets removed");
            println!("point the client here, for its tokens as well, and let it do its work");
        })?;
        println!("{} exchanges recorded; answer from them with: entrepot replay {}", recorder.count(), self.folder.display());
        Ok(())
    }
}

fn read_authorities(file: &PathBuf) -> Result<Vec<ureq::tls::Certificate<'static>>, Failure> {
    let say = |reason: &dyn std::fmt::Display| Failure::no(format!("cannot use {}: {reason}", file.display()));
    let text = std::fs::read(file).map_err(|error| say(&error))?;
    let found: Vec<_> = ureq::tls::parse_pem(&text)
        .filter_map(|item| match item {
            Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() { Err(say(&"it holds no certificate")) } else { Ok(found) }
}

#[derive(clap::Args)]
pub struct Replay {
    /// The folder of the recording.
    folder: PathBuf,
    #[command(flatten)]
    serving: Serving,
}

impl Replay {
    pub fn run(self) -> Result<(), Failure> {
        let own = self.serving.own()?;
        let replayer = Arc::new(Replayer::open(&self.folder, &own, Clock::system()).map_err(Failure::no)?);
        let (count, folder) = (replayer.count(), self.folder.display().to_string());
        self.serving.serve(&own, replayer.clone(), move || {
            println!("answers from {count} exchanges of {folder}; any credentials will do");
        })?;
        let unused = replayer.unused();
        println!("{} of {count} exchanges were asked for", count - unused.len());
        for one in &unused {
            println!("never: {one}");
        }
        Ok(())
    }
}
