//! TLS: certificates, and what is believed of backends.

mod describe;
mod pem;
mod resolver;
mod self_signed;

#[cfg(test)]
pub(crate) mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::server::ResolvesServerCert;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::admin::CertificateStatus;
use crate::config::{BackendTlsConfig, ListenerTls, Protocol, TlsVersion};
use resolver::Resolver;

/// Why TLS can't be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("tls is off for this listener")]
    Off,
    #[error("a listener with tls needs at least one certificate")]
    NoCertificates,
    #[error("cannot read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}` is not valid PEM", path.display())]
    Pem {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no certificate in `{}`", path.display())]
    NoCertificate { path: PathBuf },
    #[error("no private key in `{}`", path.display())]
    NoKey { path: PathBuf },
    #[error("the private key in `{}` is encrypted, which is not supported", path.display())]
    EncryptedKey { path: PathBuf },
    #[error("cannot use the private key in `{}`", path.display())]
    Key {
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("cannot use the certificate in `{}`: {reason}", path.display())]
    Certificate { path: PathBuf, reason: Box<str> },
    #[error("the key in `{}` does not match the certificate in `{}`", key.display(), cert.display())]
    KeyMismatch { cert: PathBuf, key: PathBuf },
    #[error("cannot make a self-signed certificate for {names:?}")]
    SelfSigned {
        names: Vec<String>,
        #[source]
        source: rcgen::Error,
    },
    #[error("cannot use the system's certificate store")]
    SystemStore(#[source] rustls::Error),
    #[error("tls cannot be set up")]
    Setup(#[from] rustls::Error),
}

/// The one place that names the cryptography: no process-wide default is relied on.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// What a listener answers handshakes with.
#[derive(Debug)]
pub(crate) struct ServerTls {
    pub(crate) config: Arc<ServerConfig>,
    made_of: ListenerTls,
    certificates: Vec<CertificateDer<'static>>,
}

impl ServerTls {
    /// What the certificates say of themselves.
    pub(crate) fn describe(&self, listener: &str) -> Vec<CertificateStatus> {
        let is_self_signed = matches!(self.made_of, ListenerTls::SelfSigned { .. });
        self.certificates
            .iter()
            .filter_map(|it| describe::describe(listener, it, is_self_signed))
            .collect()
    }

    /// The names that they are good for.
    pub(crate) fn names(&self) -> Vec<String> {
        let described = self.describe("");
        described.into_iter().flat_map(|it| it.names).collect()
    }

    /// Whether clients are shown the same certificates.
    pub(crate) fn has_certificates_of(&self, other: &Self) -> bool {
        self.certificates == other.certificates
    }
}

/// Makes what a listener answers handshakes with. A certificate that was made for the same names before
/// stays, and so do the keys of session tickets as long as the certificates are the same.
///
/// # Errors
/// A [`TlsError`] that names the file, or the name, that can't be used.
pub(crate) fn server(
    tls: &ListenerTls,
    protocols: &[Protocol],
    before: Option<&ServerTls>,
) -> Result<ServerTls, TlsError> {
    let provider = provider();
    let (resolver, certificates, min_version) = match tls {
        ListenerTls::Off => return Err(TlsError::Off),
        ListenerTls::SelfSigned { names } => match before.filter(|it| it.made_of == *tls) {
            Some(before) => (
                Arc::clone(&before.config.cert_resolver),
                before.certificates.clone(),
                TlsVersion::Tls12,
            ),
            None => {
                let made = self_signed::certificate(names, SystemTime::now(), &provider)?;
                let certificates = made.cert.clone();
                let resolver: Arc<dyn ResolvesServerCert> = Arc::new(Resolver::with_fallback(made));
                (resolver, certificates, TlsVersion::Tls12)
            }
        },
        ListenerTls::Files {
            certificates,
            min_version,
        } => {
            let (first, others) = certificates.split_first().ok_or(TlsError::NoCertificates)?;
            let mut resolver = Resolver::load(first, &provider)?;
            for certificate in others {
                resolver.add(certificate, &provider)?;
            }
            let certificates = resolver.certificates().to_vec();
            (Arc::new(resolver) as _, certificates, *min_version)
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(min_version))?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = alpn(protocols);
    // The client keeps the session: neither memory nor a cache that an attacker could fill.
    config.ticketer = match before.filter(|before| before.certificates == certificates) {
        Some(before) => Arc::clone(&before.config.ticketer),
        // Who resumes a session is shown no certificate, and shall see the new one.
        None => aws_lc_rs::Ticketer::new()?,
    };
    config.send_tls13_tickets = 1;
    // Early data can be replayed.
    config.max_early_data_size = 0;
    Ok(ServerTls {
        config: Arc::new(config),
        made_of: tls.clone(),
        certificates,
    })
}

/// Whether there is at least one certificate in a PEM file.
pub(crate) fn check_certificates(path: &Path) -> Result<(), TlsError> {
    pem::certificates(path).map(|_| ())
}

/// What a pool's connections verify and offer.
#[derive(Debug, Clone)]
pub(crate) struct ClientTls {
    pub(crate) config: Arc<ClientConfig>,
    /// Those of the file; `None` is the system's store.
    authorities: Option<Vec<CertificateDer<'static>>>,
}

/// Makes what a pool's connections verify and offer; the same as `before` where the same is believed,
/// so that its sessions can be resumed. The system's store is read once.
///
/// # Errors
/// A [`TlsError`] that names the file of authorities, or the system's store.
pub(crate) fn client(
    tls: &BackendTlsConfig,
    protocols: &[Protocol],
    before: Option<&ClientTls>,
) -> Result<ClientTls, TlsError> {
    let authorities = tls.ca.as_deref().map(pem::certificates).transpose()?;
    if let Some(before) = before.filter(|before| before.authorities == authorities) {
        return Ok(before.clone());
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(TlsVersion::Tls12))?;
    let builder = match (&authorities, &tls.ca) {
        (Some(authorities), Some(path)) => {
            let mut roots = RootCertStore::empty();
            for authority in authorities {
                roots
                    .add(authority.clone())
                    .map_err(|error| TlsError::Certificate {
                        path: path.clone(),
                        reason: error.to_string().into(),
                    })?;
            }
            builder.with_root_certificates(roots)
        }
        _ => builder
            .with_platform_verifier()
            .map_err(TlsError::SystemStore)?,
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = alpn(protocols);
    config.enable_early_data = false;
    Ok(ClientTls {
        config: Arc::new(config),
        authorities,
    })
}

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match min {
        TlsVersion::Tls12 => rustls::ALL_VERSIONS,
        TlsVersion::Tls13 => &ONLY_TLS13,
    }
}

static ONLY_TLS13: [&SupportedProtocolVersion; 1] = [&version::TLS13];

/// The names of RFC 7301, HTTP/2 first whatever the order given.
fn alpn(protocols: &[Protocol]) -> Vec<Vec<u8>> {
    [
        (Protocol::H2, b"h2".as_slice()),
        (Protocol::Http11, b"http/1.1"),
    ]
    .into_iter()
    .filter(|(protocol, _)| protocols.contains(protocol))
    .map(|(_, name)| name.to_vec())
    .collect()
}
