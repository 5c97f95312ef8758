//! What certificates say of themselves, for operators.

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::admin::CertificateStatus;

/// What a certificate says; `None` for one that cannot be read, which no listener shows.
pub(super) fn describe(
    name: &str,
    certificate: &CertificateDer<'_>,
    is_self_signed: bool,
) -> Option<CertificateStatus> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let names = alternatives
        .iter()
        .flat_map(|names| &names.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        });
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds since 1970 have room in 53 bits"
    )]
    let not_after = parsed.validity().not_after.timestamp() as f64;
    Some(CertificateStatus {
        name: name.to_owned(),
        names: names.collect(),
        not_after,
        days_left: 0,
        is_self_signed,
    })
}

/// An address as a certificate has it (RFC 5280 §4.2.1.6): four bytes, or sixteen.
fn address(bytes: &[u8]) -> Option<String> {
    let four: Result<[u8; 4], _> = bytes.try_into();
    let sixteen: Result<[u8; 16], _> = bytes.try_into();
    let address = match (four, sixteen) {
        (Ok(bytes), _) => std::net::IpAddr::from(bytes),
        (_, Ok(bytes)) => std::net::IpAddr::from(bytes),
        _ => return None,
    };
    Some(address.to_string())
}
