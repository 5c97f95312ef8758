//! A certificate made at start, for trying things out.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;

use super::TlsError;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest that clients accept of any certificate is 398 days.
const VALID_FOR: Duration = Duration::from_secs(397 * 24 * 60 * 60);

/// Makes an ECDSA P-256 certificate for DNS names and IP addresses, valid from the day before
/// `now`, as clocks differ.
pub(super) fn certificate(
    names: &[String],
    now: SystemTime,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let failed = |source| TlsError::SelfSigned {
        names: names.to_owned(),
        source,
    };
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.not_before = (now - DAY).into();
    params.not_after = (now - DAY + VALID_FOR).into();
    let certificate = params.self_signed(&key).map_err(failed)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let signing_key = provider.key_provider.load_private_key(key.into())?;
    Ok(Arc::new(CertifiedKey::new(
        vec![certificate.der().clone()],
        signing_key,
    )))
}
