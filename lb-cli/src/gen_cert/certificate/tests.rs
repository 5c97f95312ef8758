use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::*;
use crate::gen_cert::names;

fn names(written: &[&str], purpose: Purpose) -> Names {
    let written: Vec<_> = written.iter().map(|&name| name.to_owned()).collect();
    names::parse(&written, purpose).unwrap()
}

fn parsed(made: &Made) -> X509Certificate<'_> {
    X509Certificate::from_der(&made.der).unwrap().1
}

#[test]
fn a_server_certificate_names_its_hosts_and_addresses() {
    let names = names(&["app.example.com", "10.0.0.7", "::1"], Purpose::Server);
    let made = self_signed(&names, 397, KeyType::Ecdsa, Purpose::Server).unwrap();
    let cert = parsed(&made);
    let alternative = cert.subject_alternative_name().unwrap().unwrap();
    assert_eq!(
        alternative.value.general_names,
        [
            GeneralName::DNSName("app.example.com"),
            GeneralName::IPAddress(&[10, 0, 0, 7]),
            GeneralName::IPAddress(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ]
    );
    assert_eq!(cert.subject().to_string(), "CN=app.example.com");
    let usage = cert.extended_key_usage().unwrap().unwrap();
    assert!(usage.value.server_auth && !usage.value.client_auth);
    assert!(!cert.is_ca());
}

#[test]
fn it_is_valid_for_exactly_the_days_asked_for() {
    let names = names(&[], Purpose::Server);
    let made = self_signed(&names, 30, KeyType::Ecdsa, Purpose::Server).unwrap();
    let validity = parsed(&made).validity().clone();
    assert!(validity.is_valid());
    let seconds = validity.not_after.timestamp() - validity.not_before.timestamp();
    assert_eq!(seconds, 30 * 24 * 3600);
}

#[test]
fn every_key_type_signs_for_itself() {
    for (key_type, algorithm) in [
        (KeyType::Ecdsa, "1.2.840.10045.2.1"),
        (KeyType::Ed25519, "1.3.101.112"),
        (KeyType::Rsa, "1.2.840.113549.1.1.1"),
    ] {
        let names = names(&[], Purpose::Server);
        let made = self_signed(&names, 1, key_type, Purpose::Server).unwrap();
        let cert = parsed(&made);
        assert_eq!(
            cert.public_key().algorithm.algorithm.to_id_string(),
            algorithm
        );
        assert_eq!(cert.subject(), cert.issuer());
        assert!(made.key.starts_with("-----BEGIN PRIVATE KEY-----"));
    }
}

#[test]
fn a_client_certificate_is_for_clients_only() {
    let names = names(&["alice@example.com"], Purpose::Client);
    let made = self_signed(&names, 1, KeyType::Ecdsa, Purpose::Client).unwrap();
    let cert = parsed(&made);
    let usage = cert.extended_key_usage().unwrap().unwrap();
    assert!(usage.value.client_auth && !usage.value.server_auth);
    let alternative = cert.subject_alternative_name().unwrap().unwrap();
    assert_eq!(
        alternative.value.general_names,
        [GeneralName::RFC822Name("alice@example.com")]
    );
}

#[test]
fn a_certificate_ends_with_its_authority() {
    let names = names(&[], Purpose::Server);
    let authority = authority(KeyType::Ecdsa).unwrap();
    let key = KeyPair::from_pem(&authority.key).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&authority.cert, key).unwrap();
    let ends = SystemTime::now() + DAY;
    let made = signed(&names, 397, KeyType::Ecdsa, Purpose::Server, &issuer, ends).unwrap();
    let cert = parsed(&made);
    let left = cert.validity().time_to_expiration().unwrap();
    assert!(left.whole_seconds() <= 24 * 3600);
    assert_eq!(cert.issuer(), parsed(&authority).subject());
    assert!(parsed(&authority).is_ca());
}

#[test]
fn the_fingerprint_is_what_openssl_prints() {
    let made = Made {
        cert: String::new(),
        key: String::new(),
        names: String::new(),
        first_host: String::new(),
        not_after: String::new(),
        der: b"abc".to_vec(),
    };
    // FIPS 180-4, the example of SHA-256("abc").
    assert_eq!(
        made.fingerprint(),
        "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:\
         B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD"
    );
}
