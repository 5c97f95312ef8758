//! `lb-cli gen-cert` writes usable certificates, protects keys, and never overwrites unasked.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use x509_parser::pem::{Pem, parse_x509_pem};

fn gen_cert(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lb-cli"))
        .arg("gen-cert")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

fn pem(path: &Path) -> Pem {
    parse_x509_pem(&fs::read(path).unwrap()).unwrap().1
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn writes_a_certificate_and_a_private_key() {
    let directory = tempfile::tempdir().unwrap();
    let output = gen_cert(directory.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("SHA-256 fingerprint "), "{text}");
    assert!(
        text.contains("lb-cli serve --cert ./server.crt --key ./server.key"),
        "{text}"
    );
    assert!(text.contains("curl --cacert ./server.crt"), "{text}");
    assert_eq!(mode(&directory.path().join("server.key")), 0o600);
    assert_eq!(mode(&directory.path().join("server.crt")), 0o644);

    let pem = pem(&directory.path().join("server.crt"));
    let cert = pem.parse_x509().unwrap();
    cert.verify_signature(None).unwrap();
    let names = cert.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names.len(), 3);
}

#[test]
fn keeps_what_is_there_unless_forced() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("server.key");
    fs::write(&key, "mine").unwrap();

    let refused = gen_cert(directory.path(), &[]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("server.key` exists already"), "{text}");
    assert!(text.contains("try: --force"), "{text}");
    assert_eq!(fs::read_to_string(&key).unwrap(), "mine");
    assert!(!directory.path().join("server.crt").exists());

    let forced = gen_cert(directory.path(), &["--force"]);
    assert_eq!(forced.status.code(), Some(0));
    assert!(fs::read_to_string(&key).unwrap().contains("PRIVATE KEY"));
    assert_eq!(mode(&key), 0o600);
}

#[test]
fn an_authority_is_made_once_and_signs_servers_and_clients() {
    let directory = tempfile::tempdir().unwrap();
    let first = gen_cert(directory.path(), &["--ca", "app.example.com"]);
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    assert_eq!(mode(&directory.path().join("ca.key")), 0o600);
    let ca_before = fs::read(directory.path().join("ca.crt")).unwrap();

    let second = gen_cert(
        directory.path(),
        &["--ca=ca.crt", "--client", "alice", "--key-type", "ed25519"],
    );
    assert_eq!(second.status.code(), Some(0), "{second:?}");
    assert_eq!(
        fs::read(directory.path().join("ca.crt")).unwrap(),
        ca_before
    );

    let ca = pem(&directory.path().join("ca.crt"));
    let ca = ca.parse_x509().unwrap();
    assert!(ca.is_ca());
    for name in ["server.crt", "client.crt"] {
        let pem = pem(&directory.path().join(name));
        let cert = pem.parse_x509().unwrap();
        cert.verify_signature(Some(ca.public_key())).unwrap();
        assert_eq!(cert.issuer(), ca.subject());
    }
}

#[test]
fn a_forced_run_keeps_the_authority() {
    let directory = tempfile::tempdir().unwrap();
    gen_cert(directory.path(), &["--ca"]);
    let before = fs::read(directory.path().join("ca.key")).unwrap();
    let again = gen_cert(directory.path(), &["--ca", "--force"]);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert_eq!(fs::read(directory.path().join("ca.key")).unwrap(), before);
}

#[test]
fn an_authority_with_anothers_key_signs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    gen_cert(directory.path(), &["--ca", "--out", "one"]);
    gen_cert(directory.path(), &["--ca", "--out", "two"]);
    fs::copy(
        directory.path().join("one/ca.key"),
        directory.path().join("two/ca.key"),
    )
    .unwrap();
    let output = gen_cert(directory.path(), &["--ca=two/ca.crt"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("belongs to another certificate"), "{text}");
    assert!(!directory.path().join("server.crt").exists());
}

#[test]
fn a_name_that_cannot_be_matched_is_a_usage_error() {
    let directory = tempfile::tempdir().unwrap();
    let output = gen_cert(directory.path(), &["https://example.com"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("not a URL"), "{text}");
}
