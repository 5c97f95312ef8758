use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rustls::pki_types::ServerName;

use super::*;
use crate::config::CertificateConfig;
use crate::transport::Transport;

/// A directory of its own that goes with its owner.
pub(crate) struct Files {
    directory: PathBuf,
}

impl Files {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lb-tls-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        Self { directory }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn certificate(&self, stem: &str, names: &[&str]) -> CertificateConfig {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        CertificateConfig {
            cert: self.write(&format!("{stem}.crt"), &made.cert.pem()),
            key: self.write(&format!("{stem}.key"), &made.signing_key.serialize_pem()),
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _left_behind = std::fs::remove_dir_all(&self.directory);
    }
}

fn listener(certificates: &[&CertificateConfig]) -> ListenerTls {
    ListenerTls::Files {
        certificates: certificates.iter().copied().cloned().collect(),
        min_version: TlsVersion::Tls12,
    }
}

/// A server for `localhost` and a client that believes it, speaking one version.
pub(crate) fn both_ends(
    version: &'static SupportedProtocolVersion,
) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let files = Files::new();
    let certificate = files.certificate("a", &["localhost"]);
    let protocols = [Protocol::Http11, Protocol::H2];
    let server = server(&listener(&[&certificate]), &protocols, None)
        .unwrap()
        .config;
    let mut roots = RootCertStore::empty();
    let chain = pem::certificates(&certificate.cert).unwrap();
    roots.add_parsable_certificates(chain);
    let mut client = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = alpn(&protocols);
    (server, Arc::new(client))
}

/// Shakes hands with a server of these certificates, and says which one it was given.
async fn handshake(
    server: &ListenerTls,
    name: &'static str,
    believed: &CertificateConfig,
    offered: &[Protocol],
) -> (io::Result<Transport>, io::Result<Transport>) {
    let server = super::server(server, &[Protocol::H2], None).unwrap().config;
    let authorities = BackendTlsConfig {
        ca: Some(believed.cert.clone()),
        server_name: None,
    };
    let client = client(&authorities, offered, None).unwrap().config;
    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from(name).unwrap();
    tokio::join!(
        Transport::accept(Box::new(near), server),
        Transport::connect(Box::new(far), client, name),
    )
}

#[tokio::test]
async fn exact_name_wins_over_wildcard_and_first_is_the_fallback() {
    let files = Files::new();
    let first = files.certificate("first", &["first.example"]);
    let wildcard = files.certificate("wildcard", &["*.example.com"]);
    let exact = files.certificate("exact", &["a.example.com"]);
    let server = listener(&[&first, &wildcard, &exact]);
    for (name, expected) in [
        ("a.example.com", &exact),
        ("b.example.com", &wildcard),
        ("first.example", &first),
    ] {
        let (near, far) = handshake(&server, name, expected, &[Protocol::H2]).await;
        assert_eq!(near.unwrap().server_name(), Some(name));
        assert_eq!(far.unwrap().alpn(), Some(b"h2".as_slice()), "{name}");
    }
    // The fallback is sent and, rightly, not believed for another name.
    let (near, far) = handshake(&server, "b.a.example.com", &first, &[Protocol::H2]).await;
    assert!(near.is_err());
    let error = far.unwrap_err().to_string();
    assert!(error.contains("first.example"), "{error}");
}

#[tokio::test]
async fn no_shared_protocol_is_a_fatal_alert() {
    let files = Files::new();
    let certificate = files.certificate("a", &["localhost"]);
    let server = listener(&[&certificate]);
    let (near, far) = handshake(&server, "localhost", &certificate, &[Protocol::Http11]).await;
    assert!(near.is_err());
    let error = far.unwrap_err().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
}

#[test]
fn self_signed_certificate_is_made_for_names_and_addresses() {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()].to_vec();
    let tls = ListenerTls::SelfSigned { names };
    let made = server(&tls, &[Protocol::H2], None).unwrap();
    let config = &made.config;
    assert_eq!(config.send_tls13_tickets, 1);
    assert_eq!(config.max_early_data_size, 0);
    assert!(config.ticketer.enabled());
    // It stays, where it is made for the same names.
    let again = server(&tls, &[Protocol::H2], Some(&made)).unwrap();
    assert!(again.has_certificates_of(&made));
    assert!(Arc::ptr_eq(&again.config.ticketer, &config.ticketer));
    let anew = server(&tls, &[Protocol::H2], None).unwrap();
    assert!(!anew.has_certificates_of(&made));
}

#[test]
fn key_of_another_certificate_is_refused() {
    let files = Files::new();
    let mut certificate = files.certificate("a", &["a.example"]);
    certificate.key = files.certificate("b", &["b.example"]).key;
    let error = server(&listener(&[&certificate]), &[Protocol::H2], None).unwrap_err();
    assert!(matches!(error, TlsError::KeyMismatch { .. }), "{error}");
    assert!(error.to_string().contains("b.key"), "{error}");
}

#[test]
fn errors_name_the_file_and_what_is_wrong() {
    let files = Files::new();
    let good = files.certificate("good", &["a.example"]);
    let encrypted = files.write(
        "encrypted.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let garbage = files.write(
        "garbage.crt",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let cases = [
        (good.key.clone(), good.key.clone(), "no certificate in"),
        (good.cert.clone(), good.cert.clone(), "no private key in"),
        (good.cert.clone(), encrypted, "is encrypted"),
        (garbage, good.key.clone(), "cannot use the certificate"),
        (files.directory.join("none"), good.key, "cannot read"),
    ];
    for (cert, key, expected) in cases {
        let certificate = CertificateConfig { cert, key };
        let error = server(&listener(&[&certificate]), &[Protocol::H2], None).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
