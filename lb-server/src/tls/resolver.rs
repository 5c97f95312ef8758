//! Which certificate a client gets.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{TlsError, pem};
use crate::config::CertificateConfig;

/// Chooses by SNI: exact names before wildcards, the first certificate where none matches.
pub(super) struct Resolver {
    /// All of all chains, in the order of the configuration.
    certificates: Vec<CertificateDer<'static>>,
    fallback: Arc<CertifiedKey>,
    exact: HashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
    /// By the part after `*.`, which stands for one label (RFC 6125 §6.4.3).
    wildcard: HashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
}

impl Resolver {
    pub(super) fn with_fallback(fallback: Arc<CertifiedKey>) -> Self {
        Self {
            certificates: fallback.cert.clone(),
            fallback,
            exact: HashMap::new(),
            wildcard: HashMap::new(),
        }
    }

    /// Starts with the certificate that is also the fallback.
    pub(super) fn load(
        files: &CertificateConfig,
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let (certified, names) = load(files, provider)?;
        let mut resolver = Self::with_fallback(Arc::clone(&certified));
        resolver.insert(&certified, names);
        Ok(resolver)
    }

    pub(super) fn add(
        &mut self,
        files: &CertificateConfig,
        provider: &CryptoProvider,
    ) -> Result<(), TlsError> {
        let (certified, names) = load(files, provider)?;
        self.certificates.extend_from_slice(&certified.cert);
        self.insert(&certified, names);
        Ok(())
    }

    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    fn insert(&mut self, certified: &Arc<CertifiedKey>, names: Vec<String>) {
        for name in names {
            let name = name.to_ascii_lowercase();
            let (map, name) = match name.strip_prefix("*.") {
                Some(rest) => (&mut self.wildcard, rest),
                None => (&mut self.exact, name.as_str()),
            };
            map.entry(name.into())
                .or_default()
                .push(Arc::clone(certified));
        }
    }

    /// The certificates for a name, most specific first.
    fn candidates(&self, name: &str) -> impl Iterator<Item = &Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let exact = self.exact.get(name.as_str());
        let wildcard = name
            .split_once('.')
            .and_then(|(_, rest)| self.wildcard.get(rest));
        exact.into_iter().chain(wildcard).flatten()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // A name may have an RSA and an ECDSA certificate.
        let chosen = hello.server_name().and_then(|name| {
            self.candidates(name).find(|certified| {
                certified
                    .key
                    .choose_scheme(hello.signature_schemes())
                    .is_some()
            })
        });
        Some(Arc::clone(chosen.unwrap_or(&self.fallback)))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Resolver")
            .field("exact", &self.exact.keys())
            .field("wildcard", &self.wildcard.keys())
            .finish_non_exhaustive()
    }
}

/// Reads a chain and its key, and checks that they belong together.
fn load(
    files: &CertificateConfig,
    provider: &CryptoProvider,
) -> Result<(Arc<CertifiedKey>, Vec<String>), TlsError> {
    let chain = pem::certificates(&files.cert)?;
    let names = dns_names(&chain[0]).map_err(|reason| TlsError::Certificate {
        path: files.cert.clone(),
        reason,
    })?;
    let key = provider
        .key_provider
        .load_private_key(pem::private_key(&files.key)?)
        .map_err(|source| TlsError::Key {
            path: files.key.clone(),
            source,
        })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // `Unknown`: the key does not tell its public half, so nothing speaks against it.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(Error::InconsistentKeys(_)) => {
            return Err(TlsError::KeyMismatch {
                cert: files.cert.clone(),
                key: files.key.clone(),
            });
        }
        Err(error) => {
            return Err(TlsError::Certificate {
                path: files.cert.clone(),
                reason: error.to_string().into(),
            });
        }
    }
    Ok((Arc::new(certified), names))
}

/// The DNS names of a certificate. Its common name does not count (RFC 9525 §2).
fn dns_names(certificate: &[u8]) -> Result<Vec<String>, Box<str>> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| Box::from(error.to_string().as_str()))?;
    let alternatives = parsed
        .subject_alternative_name()
        .map_err(|error| Box::from(error.to_string().as_str()))?;
    let names = alternatives
        .iter()
        .flat_map(|names| &names.value.general_names);
    Ok(names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect())
}
