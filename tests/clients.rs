//! Official client libraries against the real binary over HTTPS: tokens (CONTRACT §3) and blobs (§1.6). `.ci/run` installs them by name; where they are
//! missing each test says that it is skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::appliance::{APPLICATION, Appliance, EXPORT, SECRET};
use crate::pages::{PASSWORD, Person};
use crate::wire::{DESK, with_desk};

/// Where the libraries are: `python/` is a virtual environment, `node/node_modules` beside it.
fn libraries() -> PathBuf {
    std::env::var_os("ENTREPOT_CLIENTS").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients"), PathBuf::from)
}

fn python(modules: &str) -> Option<PathBuf> {
    let interpreter = libraries().join("python/bin/python");
    let has = Command::new(&interpreter).args(["-c", &format!("import {modules}")]).output().is_ok_and(|output| output.status.success());
    if !has {
        eprintln!("skipped: {} has no {modules}; .ci/run installs it", interpreter.display());
    }
    has.then_some(interpreter)
}

fn node(module: &str) -> Option<PathBuf> {
    let folder = libraries().join("node");
    let has = folder.join("node_modules").join(module).exists() && Command::new("node").arg("--version").output().is_ok();
    if !has {
        eprintln!("skipped: {} has no {module}; .ci/run installs it", folder.display());
    }
    has.then_some(folder)
}

pub struct Site {
    pub app: Appliance,
    pub base: String,
    pub authority: PathBuf,
}

/// An appliance whose public address is HTTPS, with a certificate of its own authority.
pub fn site(configuration: &str) -> Site {
    let made = entrepot::edge::local_ca::make(&["localhost".into(), "127.0.0.1".into()], &entrepot::clock::Clock::system()).unwrap();
    let tls = tempfile::tempdir().unwrap().keep();
    std::fs::write(tls.join("chain.pem"), &made.chain).unwrap();
    std::fs::write(tls.join("key.pem"), &made.key).unwrap();
    std::fs::write(tls.join("authority.pem"), &made.authority).unwrap();
    // A port that is free now; public_url has to name it before the appliance listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let base = format!("https://localhost:{port}");
    let server = format!(
        "public_url = \"{base}\"\n[server.https]\nlisten = \"127.0.0.1:{port}\"\ncertificate = {:?}\nkey = {:?}\n",
        tls.join("chain.pem"),
        tls.join("key.pem")
    );
    let app = Appliance::start_with_body(configuration, &server, "128MiB");
    Site { app, base, authority: tls.join("authority.pem") }
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.trim_end().ends_with("done"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn the_libraries_for_python_obtain_tokens_old_and_new() {
    let Some(python) = python("msal, adal") else { return };
    let site = site(&with_desk());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/tokens.py");
    // requests believes the variable more than its caller.
    let mut command = Command::new(python);
    command.env("REQUESTS_CA_BUNDLE", &site.authority).arg(script).arg(&site.base).arg(&site.authority);
    Person::signed_in(&site.app);
    let text = run(command.args([APPLICATION, SECRET, EXPORT, DESK, "kim", PASSWORD]));
    assert_eq!(text.lines().count(), 15, "{text}");
}

#[test]
fn the_library_for_node_obtains_tokens() {
    let Some(folder) = node("@azure/msal-node") else { return };
    let site = site(&with_desk());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/tokens.mjs");
    Person::signed_in(&site.app);
    let text = run(Command::new("node").env("NODE_EXTRA_CA_CERTS", &site.authority).arg(script).arg(folder).args([
        site.base.as_str(),
        APPLICATION,
        SECRET,
        EXPORT,
        DESK,
        "kim",
        PASSWORD,
    ]));
    assert_eq!(text.lines().count(), 5, "{text}");
}

#[test]
fn the_library_of_azure_blob_storage_puts_and_gets_blobs() {
    let Some(python) = python("azure.storage.blob") else { return };
    let site = site(&with_desk());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/blobs.py");
    let text = run(Command::new(python).arg(script).arg(&site.base).arg(&site.authority).arg(&site.app.token));
    assert_eq!(text.lines().count(), 8, "{text}");
}
