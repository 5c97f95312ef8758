//! The authority that signs: opened from files, or made where there is none yet.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use rcgen::{Issuer, KeyPair, PublicKeyData as _};
use x509_parser::pem::Pem;

use super::certificate::{self, Made, Purpose};
use super::names::Names;
use crate::args::KeyType;

/// A certificate that may sign, and its key.
#[derive(Debug)]
pub(super) struct Authority {
    /// Where the certificate is or will be.
    pub(super) cert: PathBuf,
    /// Where the key is or will be.
    pub(super) key: PathBuf,
    cert_pem: String,
    key_pem: String,
    ends: SystemTime,
    made: Option<Made>,
}

impl Authority {
    /// Opens the authority of `cert`, whose key has the same name with the extension `key`; where
    /// neither exists and `may_create` holds, makes one without writing it yet.
    ///
    /// # Errors
    ///
    /// A file is missing or unreadable, the certificate is not an authority's or has expired, or
    /// the key is not its key.
    pub(super) fn open(cert: PathBuf, may_create: bool, key_type: KeyType) -> anyhow::Result<Self> {
        let key = cert.with_extension("key");
        if key == cert {
            bail!("`{}` would be certificate and key at once", cert.display());
        }
        let made = match (cert.exists(), key.exists()) {
            (false, false) if may_create => Some(certificate::authority(key_type)?),
            (true, true) => None,
            (true, false) => bail!("the key `{}` is missing", key.display()),
            (false, _) => bail!(
                "the authority's certificate `{}` is missing",
                cert.display()
            ),
        };
        let (cert_pem, key_pem) = match &made {
            Some(made) => (made.cert.clone(), made.key.clone()),
            None => (read(&cert)?, read(&key)?),
        };
        let ends = examine(&cert_pem, &key_pem)
            .with_context(|| format!("`{}` cannot sign", cert.display()))?;
        Ok(Self {
            cert,
            key,
            cert_pem,
            key_pem,
            ends,
            made,
        })
    }

    /// What has to be written because the authority is new.
    pub(super) fn created(&self) -> Option<&Made> {
        self.made.as_ref()
    }

    /// Makes a certificate for `names`.
    ///
    /// # Errors
    ///
    /// The provider cannot make such a key.
    pub(super) fn sign(
        &self,
        names: &Names,
        days: u32,
        key_type: KeyType,
        purpose: Purpose,
    ) -> anyhow::Result<Made> {
        let key = KeyPair::from_pem(&self.key_pem)?;
        let issuer = Issuer::from_ca_cert_pem(&self.cert_pem, key)?;
        certificate::signed(names, days, key_type, purpose, &issuer, self.ends)
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// Checks that certificate and key belong together and may sign now; returns the last moment.
fn examine(cert_pem: &str, key_pem: &str) -> anyhow::Result<SystemTime> {
    let pem = Pem::iter_from_buffer(cert_pem.as_bytes())
        .filter_map(Result::ok)
        .find(|pem| pem.label == "CERTIFICATE")
        .context("no certificate in it")?;
    let cert = pem.parse_x509().context("the certificate is malformed")?;
    if !cert.is_ca() {
        bail!("it is not the certificate of an authority");
    }
    if let Ok(Some(usage)) = cert.key_usage()
        && !usage.value.key_cert_sign()
    {
        bail!("it may not sign certificates");
    }
    if !cert.validity().is_valid() {
        bail!(
            "it is valid only from {} to {}",
            cert.validity().not_before,
            cert.validity().not_after
        );
    }
    let key = KeyPair::from_pem(key_pem)
        .context("its key is not understood; `openssl pkcs8 -topk8 -nodes` makes it PKCS#8")?;
    if key.subject_public_key_info() != cert.public_key().raw {
        bail!("the key beside it belongs to another certificate");
    }
    let ends = u64::try_from(cert.validity().not_after.timestamp()).unwrap_or(0);
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(ends))
}
