//! Directories, certificates and large files of a test.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};

use super::process::{program, succeed};

/// A directory that is removed on drop.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Not below `target/`: the path of a unix socket has at most 107 bytes.
        let path = std::env::temp_dir().join(format!("lb-e2e-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("the directory for temporary files is writable");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let file = self.file(name);
        fs::write(&file, text).expect("the directory is writable");
        file
    }

    /// A file of so many bytes that repeat nowhere near.
    pub(crate) fn noise(&self, name: &str, size_bytes: usize) -> String {
        let file = self.file(name);
        let mut out = BufWriter::with_capacity(
            1 << 20,
            fs::File::create(&file).expect("the directory is writable"),
        );
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut block = vec![0; 64 * 1024];
        let mut left = size_bytes;
        // One block of xorshift noise, stamped anew each time: an optimised build is not needed.
        for piece in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            piece.copy_from_slice(&state.to_le_bytes());
        }
        while left > 0 {
            let length = left.min(block.len());
            block[..8].copy_from_slice(&left.to_le_bytes());
            out.write_all(&block[..length])
                .expect("there is space for the file");
            left -= length;
        }
        out.flush().expect("there is space for the file");
        file
    }

    /// `ca.crt`, and `server.crt` with `server.key` for `localhost` and `127.0.0.1` signed by it.
    pub(crate) fn certificates(&self) -> Certificates {
        let mut authority = CertificateParams::default();
        // Told apart from what it signs: a certificate whose issuer has its own name is self-signed.
        authority
            .distinguished_name
            .push(DnType::CommonName, "authority of the tests");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let key = KeyPair::generate().expect("the generator works");
        let authority =
            CertifiedIssuer::self_signed(authority, key).expect("the parameters are valid");
        let key = KeyPair::generate().expect("the generator works");
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let server = CertificateParams::new(names).expect("the names are valid");
        let server = server
            .signed_by(&key, &authority)
            .expect("the parameters are valid");
        Certificates {
            ca: self.write("ca.crt", &authority.pem()),
            cert: self.write("server.crt", &server.pem()),
            key: self.write("server.key", &key.serialize_pem()),
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Paths of PEM files.
pub(crate) struct Certificates {
    pub(crate) ca: String,
    pub(crate) cert: String,
    pub(crate) key: String,
}

/// SHA-256 of a file in hexadecimal digits.
pub(crate) fn sha256(file: &str) -> String {
    let printed = succeed(program("sha256sum", "coreutils").arg(file));
    printed
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}
