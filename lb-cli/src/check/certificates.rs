//! Certificates and keys of the listeners: there, in date, and made for each other.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use lb_server::{CertificateConfig, Config, ListenerTls};
use rcgen::{KeyPair, PublicKeyData as _};
use x509_parser::pem::Pem;

/// What keeps the certificates of `config` from being served, each with its place.
pub(super) fn problems(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, listener) in &config.listeners {
        let ListenerTls::Files { certificates, .. } = &listener.tls else {
            continue;
        };
        for (index, certificate) in certificates.iter().enumerate() {
            if let Err(error) = examine(certificate) {
                problems.push(format!(
                    "listeners.{name}.tls.certificates[{index}]: {error:#}"
                ));
            }
        }
    }
    problems
}

fn examine(files: &CertificateConfig) -> anyhow::Result<()> {
    let cert_pem = read(&files.cert)?;
    let key_pem = read(&files.key)?;
    let name = files.cert.display();
    let pem = Pem::iter_from_buffer(cert_pem.as_bytes())
        .filter_map(Result::ok)
        .find(|pem| pem.label == "CERTIFICATE")
        .with_context(|| format!("no certificate in `{name}`"))?;
    let cert = pem
        .parse_x509()
        .with_context(|| format!("the certificate in `{name}` is malformed"))?;
    let validity = cert.validity();
    if !validity.is_valid() {
        bail!(
            "`{name}` is valid only from {} to {}",
            validity.not_before,
            validity.not_after
        );
    }
    let key = KeyPair::from_pem(&key_pem)
        .with_context(|| format!("no usable private key in `{}`", files.key.display()))?;
    if key.subject_public_key_info() != cert.public_key().raw {
        bail!(
            "the key `{}` belongs to another certificate than `{name}`",
            files.key.display()
        );
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}
