//! The HTTPS listener.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;
use crate::clock::Clock;

fn write_certificate(directory: &Path) -> String {
    let made = local_ca::make(&["localhost".into(), "127.0.0.1".into()], &Clock::system()).unwrap();
    std::fs::write(directory.join("fullchain.pem"), &made.chain).unwrap();
    std::fs::write(directory.join("privkey.pem"), &made.key).unwrap();
    made.authority
}

fn settings(directory: &Path) -> TlsSettings {
    TlsSettings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        certificate: directory.join("fullchain.pem"),
        key: directory.join("privkey.pem"),
        check_every: Duration::from_millis(20),
    }
}

fn trust(authority: &str, versions: &[&'static rustls::SupportedProtocolVersion], protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

fn secure_client(address: SocketAddr, config: &Arc<ClientConfig>) -> Result<Client, io::Error> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), connect(address));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(Client::over(stream))
}

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

#[test]
fn small_and_large_exchanges_pass_over_both_versions_of_tls() {
    let directory = tempfile::tempdir().unwrap();
    let authority = write_certificate(directory.path());
    let site = Site::start_with(Settings::default(), Some(settings(directory.path())));
    for version in BOTH {
        let mut client = secure_client(site.edge().addresses()[1], &trust(&authority, &[version], &[b"h2", b"http/1.1"])).unwrap();
        client.send("GET /who HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(client.answer().text().ends_with(" https"));
        client.send("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n");
        client.send(vec![1; 3_000_000]);
        assert_eq!(client.answer().text(), "3000000 3000000 3000000");
        client.send("GET /large?3000000 HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.answer();
        assert!(answer.body.len() == 3_000_000 && answer.body.iter().zip((0..=250).cycle()).all(|(found, expected)| *found == expected));
        client.send("GET /alive HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(client.answer().text(), "hello");
        client.assert_closed();
    }
    assert_eq!(site.counters().tls_handshakes, 2);
    site.assert_alive();
}

#[test]
fn a_client_that_speaks_only_http2_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let authority = write_certificate(directory.path());
    let site = Site::start_with(Settings::default(), Some(settings(directory.path())));
    assert!(secure_client(site.edge().addresses()[1], &trust(&authority, BOTH, &[b"h2"])).is_err());
    site.until("it is counted", |counters| counters.tls_errors == 1 && counters.connections_open == 0);
}

#[test]
fn garbage_and_silent_handshakes_cost_nobody_else_anything() {
    let directory = tempfile::tempdir().unwrap();
    let authority = write_certificate(directory.path());
    let site =
        Site::start_with(Settings { head_wait: Duration::from_millis(700), ..Settings::default() }, Some(settings(directory.path())));
    let address = site.edge().addresses()[1];
    let mut bad: Vec<Client> = ["", "\x16\x03\x01", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03"]
        .into_iter()
        .cycle()
        .take(100)
        .map(|bytes| {
            let mut client = Client::connect(address);
            client.send(bytes);
            client
        })
        .collect();
    let mut client = secure_client(address, &trust(&authority, BOTH, &[])).unwrap();
    client.send("GET /alive HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(client.answer().text(), "hello");
    for client in &mut bad {
        while client.fill() {}
    }
    site.until("all are gone", |counters| counters.connections_open == 0);
}

#[test]
fn a_new_certificate_is_used_without_a_restart_and_a_bad_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let first = write_certificate(directory.path());
    let site = Site::start_with(Settings::default(), Some(settings(directory.path())));
    let address = site.edge().addresses()[1];
    let good = |authority: &str| secure_client(address, &trust(authority, BOTH, &[])).is_ok();
    assert!(good(&first));
    std::fs::write(directory.path().join("fullchain.pem"), "nonsense").unwrap();
    let watch = Stopwatch::start();
    while watch.elapsed() < Duration::from_millis(100) {
        assert!(good(&first), "the old one stays");
    }
    let second = write_certificate(directory.path());
    let watch = Stopwatch::start();
    while !good(&second) {
        assert!(watch.elapsed() < PATIENCE, "the new one is used");
    }
    assert!(!good(&first));
}

#[test]
fn a_certificate_that_can_not_be_used_is_named_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let start = || {
        let (hop, _listener) = Hop::open(directory.path()).unwrap();
        Edge::start(Settings::default(), vec![], Some(settings(directory.path())), hop, Arc::<TestGate>::default())
            .err()
            .unwrap()
            .to_string()
    };
    assert!(start().contains("fullchain.pem"));
    write_certificate(directory.path());
    std::fs::write(directory.path().join("privkey.pem"), "nonsense").unwrap();
    assert!(start().contains("privkey.pem: it holds no private key in PEM"));
    let other = local_ca::make(&["localhost".into()], &Clock::system()).unwrap();
    std::fs::write(directory.path().join("privkey.pem"), other.key).unwrap();
    assert!(start().contains("the key does not fit the certificate"), "{}", start());
}
