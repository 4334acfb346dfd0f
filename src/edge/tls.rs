//! TLS 1.2 and 1.3 for the HTTPS listener: rustls with ring, HTTP/1.1 only, the certificate reloaded when its files change.
//!
//! Invariant: there is always a certificate to answer with. A changed file that can not be read, or a key that does not fit, is logged
//! and the old one stays.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::Error;
use super::settings::TlsSettings;

/// A certificate file or key file larger than this is refused.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// When a file was last changed, and its size: what tells a new certificate from the old.
type Stamp = Option<(SystemTime, u64)>;

/// The certificate in use and the files it came from.
#[derive(Debug)]
pub(super) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    current: RwLock<(Arc<CertifiedKey>, [Stamp; 2])>,
}

impl Certificate {
    /// Reads both files.
    pub(super) fn load(settings: &TlsSettings) -> Result<Arc<Self>, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let stamps = [stamp(&settings.certificate), stamp(&settings.key)];
        let current = read(&settings.certificate, &settings.key, &provider)?;
        Ok(Arc::new(Certificate {
            certificate: settings.certificate.clone(),
            key: settings.key.clone(),
            provider,
            current: RwLock::new((Arc::new(current), stamps)),
        }))
    }

    /// Looks whether the files have changed, and takes the new certificate if it is good.
    pub(super) fn refresh(&self) {
        let stamps = [stamp(&self.certificate), stamp(&self.key)];
        if self.current.read().unwrap_or_else(PoisonError::into_inner).1 == stamps {
            return;
        }
        let read = read(&self.certificate, &self.key, &self.provider);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.1 = stamps;
        match read {
            Ok(key) => {
                current.0 = Arc::new(key);
                log::info!("certificate reloaded file={}", self.certificate.display());
            }
            Err(error) => log::error!("certificate not reloaded reason=\"{error}\" hint=\"the old one stays in use\""),
        }
    }

    /// The configuration of connections.
    pub(super) fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| Error::ReadCertificate { file: self.certificate.clone(), reason: error.to_string() })?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // One ticket instead of two, and no early data: an early request could be replayed.
        config.send_tls13_tickets = 1;
        config.max_early_data_size = 0;
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).0))
    }
}

fn stamp(file: &Path) -> Stamp {
    let found = std::fs::metadata(file).ok()?;
    Some((found.modified().ok()?, found.len()))
}

fn read(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
    let text = |file: &Path| {
        let wrong = |reason: String| Error::ReadCertificate { file: file.to_owned(), reason };
        let size = std::fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
        if size > FILE_BYTES_MAX {
            return Err(wrong(format!("it has {size} bytes; a PEM file has at most {FILE_BYTES_MAX}")));
        }
        std::fs::read(file).map_err(|error| wrong(error.to_string()))
    };
    let wrong = |reason: &str| Error::ReadCertificate { file: certificate.to_owned(), reason: reason.to_owned() };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text(certificate)?)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(&format!("it is not PEM: {error}")))?;
    if chain.is_empty() {
        return Err(wrong("it holds no certificate; it must begin with -----BEGIN CERTIFICATE-----"));
    }
    let private = PrivateKeyDer::from_pem_slice(&text(key)?)
        .map_err(|error| Error::ReadCertificate { file: key.to_owned(), reason: format!("it holds no private key in PEM: {error}") })?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| Error::ReadCertificate {
        file: key.to_owned(),
        reason: format!("the key does not fit the certificate {}: {error}", certificate.display()),
    })
}
