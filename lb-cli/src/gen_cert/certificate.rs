//! One certificate: its parameters, its key, and what was made of them.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, RsaKeySize,
};

use super::names::Names;
use crate::args::KeyType;

/// Clocks of clients may be behind ours by this much.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Server,
    Client,
}

impl Purpose {
    /// The file name without its extension.
    pub(super) fn stem(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// A certificate and its key, not yet written.
#[derive(Debug)]
pub(super) struct Made {
    /// PEM.
    pub(super) cert: String,
    /// PEM, PKCS#8.
    pub(super) key: String,
    /// Its names, for people.
    pub(super) names: String,
    /// The first name as the host of a URL.
    pub(super) first_host: String,
    /// Its last day, `2027-12-25`.
    pub(super) not_after: String,
    der: Vec<u8>,
}

impl Made {
    /// SHA-256 over the certificate, as `openssl x509 -fingerprint -sha256` prints it.
    pub(super) fn fingerprint(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.der);
        let bytes: Vec<_> = digest.as_ref().iter().map(|b| format!("{b:02X}")).collect();
        bytes.join(":")
    }
}

/// Makes a certificate that vouches for itself.
///
/// # Errors
///
/// The provider cannot make such a key.
pub(super) fn self_signed(
    names: &Names,
    days: u32,
    key_type: KeyType,
    purpose: Purpose,
) -> anyhow::Result<Made> {
    let key = key_pair(key_type)?;
    let params = leaf(names, days, key_type, purpose)?;
    let cert = params
        .self_signed(&key)
        .context("cannot sign the certificate")?;
    Ok(made(&params, &cert, &key, Some(names)))
}

/// Makes a certificate signed by `issuer`, whose own certificate ends at `issuer_ends`.
///
/// # Errors
///
/// The provider cannot make such a key, or the authority may not sign.
pub(super) fn signed(
    names: &Names,
    days: u32,
    key_type: KeyType,
    purpose: Purpose,
    issuer: &Issuer<'_, KeyPair>,
    issuer_ends: SystemTime,
) -> anyhow::Result<Made> {
    let key = key_pair(key_type)?;
    let mut params = leaf(names, days, key_type, purpose)?;
    // A certificate that outlives its authority only looks valid.
    params.not_after = params.not_after.min(issuer_ends.into());
    params.use_authority_key_identifier_extension = true;
    let cert = params
        .signed_by(&key, issuer)
        .context("cannot sign the certificate")?;
    Ok(made(&params, &cert, &key, Some(names)))
}

/// Makes an authority that may sign certificates, but no further authorities.
///
/// # Errors
///
/// The provider cannot make such a key.
pub(super) fn authority(key_type: KeyType) -> anyhow::Result<Made> {
    const YEARS_10: u32 = 3650;
    let key = key_pair(key_type)?;
    let mut params = params("lb-cli local authority", YEARS_10);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let cert = params
        .self_signed(&key)
        .context("cannot sign the authority")?;
    Ok(made(&params, &cert, &key, None))
}

fn leaf(
    names: &Names,
    days: u32,
    key_type: KeyType,
    purpose: Purpose,
) -> anyhow::Result<CertificateParams> {
    let mut params = params(&names.common_name(), days);
    params.subject_alt_names = names.alternative_names()?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if key_type == KeyType::Rsa {
        // TLS 1.2 clients without elliptic curves send their secret to the key.
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
    params.extended_key_usages = vec![match purpose {
        Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    Ok(params)
}

fn params(common_name: &str, days: u32) -> CertificateParams {
    let now = SystemTime::now();
    let mut params = CertificateParams::default();
    params.not_before = (now - CLOCK_SKEW).into();
    // The hour before counts, so that the whole never exceeds what clients accept as `days`.
    params.not_after = (now - CLOCK_SKEW + DAY * days).into();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params
}

fn key_pair(key_type: KeyType) -> anyhow::Result<KeyPair> {
    match key_type {
        KeyType::Ecdsa => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyType::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        KeyType::Rsa => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_3072),
    }
    .context("cannot make a key")
}

fn made(
    params: &CertificateParams,
    cert: &rcgen::Certificate,
    key: &KeyPair,
    names: Option<&Names>,
) -> Made {
    Made {
        cert: cert.pem(),
        key: key.serialize_pem(),
        names: names.map_or_else(String::new, Names::to_string),
        first_host: names.map_or_else(String::new, Names::first_host),
        not_after: params.not_after.date().to_string(),
        der: cert.der().to_vec(),
    }
}

#[cfg(test)]
mod tests;
