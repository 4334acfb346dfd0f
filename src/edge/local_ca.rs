//! A private certificate authority and a certificate for this machine: what `init --https` writes, so that HTTPS works before a public
//! name exists. The files are ordinary PEM and can be replaced by those of any authority.
//!
//! The authority's own key is never written: nobody can sign with it later, so trusting its certificate trusts these names alone.

use std::fmt;
use std::net::IpAddr;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::Error;
use crate::clock::Clock;

/// Days that the certificates are valid; browsers and Apple refuse server certificates of more than 825 days.
const DAYS: i64 = 820;
const DAY_MS: i64 = 86_400_000;

/// What was made; all PEM.
pub struct LocalCertificate {
    /// The authority's certificate: clients are told to trust it. `ca.pem`.
    pub authority: String,
    /// The server's certificate and the authority's. `fullchain.pem`.
    pub chain: String,
    /// The server's private key; to be written with mode 0600. `privkey.pem`.
    pub key: String,
}

impl fmt::Debug for LocalCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCertificate").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// Makes an authority and a certificate for these names and addresses, such as `localhost` and `127.0.0.1`.
///
/// # Errors
/// When a name is not one, or there is none.
pub fn make(names: &[String], clock: &Clock) -> Result<LocalCertificate, Error> {
    let wrong = |error: rcgen::Error| Error::MakeCertificate { reason: error.to_string() };
    if names.is_empty() {
        return Err(Error::MakeCertificate { reason: "there is no name to make it for; name the host, such as \"localhost\"".into() });
    }
    for name in names {
        let fine = name.parse::<IpAddr>().is_ok()
            || (!name.is_empty() && name.len() <= 253 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte)));
        if !fine {
            return Err(Error::MakeCertificate { reason: format!("\"{name}\" is neither a host name nor an address") });
        }
    }
    let valid = |params: &mut CertificateParams| {
        let date = |ms: i64| {
            let date = chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default().date_naive();
            let (year, month, day) = (chrono::Datelike::year(&date), chrono::Datelike::month(&date), chrono::Datelike::day(&date));
            rcgen::date_time_ymd(year, u8::try_from(month).unwrap_or(1), u8::try_from(day).unwrap_or(1))
        };
        let now = clock.now().0;
        // From yesterday: a client's clock may be behind ours.
        params.not_before = date(now - DAY_MS);
        params.not_after = date(now + DAYS * DAY_MS);
    };

    let mut authority = CertificateParams::new(Vec::new()).map_err(wrong)?;
    authority.distinguished_name.push(DnType::CommonName, format!("Entrepot local authority for {}", names[0]));
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut authority);
    let authority_key = KeyPair::generate().map_err(wrong)?;
    let authority_certificate = authority.self_signed(&authority_key).map_err(wrong)?;
    let issuer = Issuer::new(authority, authority_key);

    let mut server = CertificateParams::new(names.to_vec()).map_err(wrong)?;
    server.distinguished_name.push(DnType::CommonName, names[0].clone());
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    valid(&mut server);
    let key = KeyPair::generate().map_err(wrong)?;
    let certificate = server.signed_by(&key, &issuer).map_err(wrong)?;
    let authority = authority_certificate.pem();
    Ok(LocalCertificate { chain: format!("{}{}", certificate.pem(), authority), authority, key: key.serialize_pem() })
}

/// How people make their machines trust the authority, for the output of `init --https`. `file` is where `ca.pem` was written.
pub fn how_to_trust(file: &str) -> String {
    format!(
        "Clients trust this certificate once they trust {file}:
  Debian, Ubuntu   sudo cp {file} /usr/local/share/ca-certificates/entrepot.crt && sudo update-ca-certificates
  Fedora, RHEL     sudo cp {file} /etc/pki/ca-trust/source/anchors/entrepot.pem && sudo update-ca-trust
  Windows          certutil -addstore -f Root {file}      (as administrator)
  macOS            sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {file}
  curl             curl --cacert {file} https://...
  Firefox          Settings, Certificates, View Certificates, Authorities, Import
It signs nothing else: its private key was thrown away.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_names_are_refused_with_the_name() {
        for name in ["a b", "", "http://x", "x/y"] {
            let error = make(&[name.to_owned()], &Clock::system()).unwrap_err().to_string();
            assert!(error.contains(&format!("\"{name}\"")), "{error}");
        }
        assert!(make(&[], &Clock::system()).is_err());
    }

    #[test]
    fn the_authority_has_no_key_on_disk_and_the_text_names_its_file() {
        let made = make(&["localhost".into(), "::1".into()], &Clock::system()).unwrap();
        assert_eq!(made.chain.matches("BEGIN CERTIFICATE").count(), 2);
        assert_eq!(made.key.matches("PRIVATE KEY").count(), 2);
        assert!(!format!("{made:?}").contains("PRIVATE"));
        assert!(how_to_trust("/etc/entrepot/tls/ca.pem").contains("/etc/entrepot/tls/ca.pem"));
    }
}
