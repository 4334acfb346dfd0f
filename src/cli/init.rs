//! `entrepot init [DIR]`.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::Failure;
use crate::auth::secret;
use crate::clock::Clock;
use crate::config::starter;
use crate::edge::local_ca;
use crate::files::write_private;
use crate::model::id::ApplicationId;

#[derive(clap::Args)]
pub struct Init {
    /// Where to write entrepot.toml. Here, when left out.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Also make a private authority and a certificate for local HTTPS, in DIR/tls, and listen on port 8443 with it.
    #[arg(long)]
    https: bool,
    /// A name or address under which clients reach this machine, for the certificate; repeat for several. localhost and 127.0.0.1 are always in it.
    #[arg(long, value_name = "NAME", requires = "https")]
    name: Vec<String>,
}

/// What a new file holds that is shown once.
pub struct Made {
    pub file: PathBuf,
    pub application: ApplicationId,
    pub secret: String,
}

/// Writes the starter file into a directory; an existing one is never overwritten.
pub fn make(dir: &Path, data_dir: &str, listen: &str) -> Result<Made, Failure> {
    let file = dir.join("entrepot.toml");
    if file.exists() {
        return Err(Failure::no(format!("{} exists already\n  hint: choose another directory, or edit that file", file.display())));
    }
    let (application, given) = (ApplicationId(Uuid::new_v4()), secret::generate().map_err(|error| Failure::no(error.to_string()))?);
    let text = starter::text(application, &secret::hash_text(&secret::hash(&given)), data_dir, listen);
    std::fs::create_dir_all(dir)
        .and_then(|()| write_private(&file, text.as_bytes()))
        .map_err(|error| Failure::no(format!("cannot write {}: {error}", file.display())))?;
    Ok(Made { file, application, secret: given })
}

impl Init {
    pub fn run(self) -> Result<(), Failure> {
        let made = make(&self.dir, "data", "127.0.0.1:8420")?;
        let file = made.file.display();
        println!("wrote {file}");
        println!("  application   {}", made.application);
        println!("  secret        {}   (shown once, kept as a hash)", made.secret);
        if self.https {
            let authority = make_https(&self.dir, &made.file, &self.name)?;
            println!("\nHTTPS at https://localhost:8443 with a certificate of its own in {}.", self.dir.join("tls").display());
            print!("{}", local_ca::how_to_trust(&authority.display().to_string()));
        }
        println!(
            "\nnext: entrepot serve --config {file}\nthen:\n{}",
            try_it("http://127.0.0.1:8420", &made.application.to_string(), &made.secret)
        );
        Ok(())
    }
}

/// Writes `tls/ca.pem`, `tls/fullchain.pem` and `tls/privkey.pem`, and names them in the configuration. Returns the authority's file.
fn make_https(dir: &Path, file: &Path, names: &[String]) -> Result<PathBuf, Failure> {
    let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    all.extend(names.iter().filter(|name| !["localhost", "127.0.0.1", "::1"].contains(&name.as_str())).cloned());
    let made = local_ca::make(&all, &Clock::system()).map_err(|error| Failure::no(error.to_string()))?;
    let tls = dir.join("tls");
    let wrong = |path: &Path, error: std::io::Error| Failure::no(format!("cannot write {}: {error}", path.display()));
    std::fs::create_dir_all(&tls).map_err(|error| wrong(&tls, error))?;
    for (name, text) in [("ca.pem", &made.authority), ("fullchain.pem", &made.chain), ("privkey.pem", &made.key)] {
        write_private(&tls.join(name), text.as_bytes()).map_err(|error| wrong(&tls.join(name), error))?;
    }
    let text = std::fs::read_to_string(file).map_err(|error| wrong(file, error))?;
    let mut document: toml_edit::DocumentMut = text.parse().map_err(|error| Failure::no(format!("{}: {error}", file.display())))?;
    let mut https = toml_edit::Table::new();
    https.insert("listen", toml_edit::value("127.0.0.1:8443"));
    https.insert("certificate", toml_edit::value("tls/fullchain.pem"));
    https.insert("key", toml_edit::value("tls/privkey.pem"));
    document["server"]["https"] = toml_edit::Item::Table(https);
    write_private(file, document.to_string().as_bytes()).map_err(|error| wrong(file, error))?;
    Ok(tls.join("ca.pem"))
}

/// The curl lines of the first message, complete.
pub fn try_it(base: &str, application: &str, secret: &str) -> String {
    let (import, export) = (starter::IMPORT_JOB, starter::EXPORT_JOB);
    format!(
        r#"  TOKEN=$(curl -s {base}/any/oauth2/token -d grant_type=client_credentials -d client_id={application} -d client_secret={secret} | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  printf 'NAME,DESCRIPTION,NUMBEROFDAYS\nNet30,Net 30 days,30\n' | curl -s -H "Authorization: Bearer $TOKEN" --data-binary @- "{base}/api/connector/enqueue/{import}?entity=Terms%20of%20payment"
  printf 'Group;Name;Terms;Credit\n10;Retail;Net30;5000\n' | curl -s -H "Authorization: Bearer $TOKEN" --data-binary @- "{base}/api/connector/enqueue/{import}?entity=Customer%20groups"
  curl -s -H "Authorization: Bearer $TOKEN" "{base}/api/connector/dequeue/{export}"     # an export job runs on its schedule, or with: entrepot job run
"#
    )
}
