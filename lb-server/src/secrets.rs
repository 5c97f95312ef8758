//! The secrets that cookies are signed with, from files, the configuration, or made at start.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use lb_session::Secrets;

use crate::config::SecretsConfig;
use crate::entropy;
use crate::error::{Error, ErrorKind};

/// Beyond this a file is not a secret but a mistake.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// The secret of a process that was given none; it lives as long as the process, across reloads.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpareSecret(Arc<OnceLock<Secrets>>);

impl SpareSecret {
    fn get(&self) -> Result<Secrets, Error> {
        if let Some(made) = self.0.get() {
            return Ok(made.clone());
        }
        let random: [u8; 32] = entropy::secret_bytes().map_err(|error| {
            Error::new(ErrorKind::Start, "the system gives no randomness").with_source(error)
        })?;
        let secrets = Secrets::try_new([random]).map_err(|error| {
            Error::new(ErrorKind::Start, "a secret cannot be made").with_source(error)
        })?;
        Ok(self.0.get_or_init(|| secrets).clone())
    }
}

impl SecretsConfig {
    /// Reads the files, if there are any, and checks the secrets.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where a file cannot be read, and where a secret is too short.
    pub fn check(&self) -> Result<(), Error> {
        self.load().map(|_| ())
    }

    /// The secrets; those of the process where none are written.
    pub(crate) fn load_or(&self, spare: &SpareSecret) -> Result<Secrets, Error> {
        self.load()?.map_or_else(|| spare.get(), Ok)
    }

    fn load(&self) -> Result<Option<Secrets>, Error> {
        let unusable = |text: String, error| Error::new(ErrorKind::Config, text).with_source(error);
        match self {
            Self::Unwritten => Ok(None),
            Self::Texts(texts) => Secrets::try_new(texts.iter().map(|text| text.as_str()))
                .map(Some)
                .map_err(|error| unusable("a secret cannot be used".to_owned(), error)),
            Self::Files(paths) => {
                let mut secrets = Vec::with_capacity(paths.len());
                for path in paths {
                    let secret = read(path).map_err(|error| {
                        let text = format!("cannot read the secret in `{}`", path.display());
                        Error::new(ErrorKind::Config, text).with_source(error)
                    })?;
                    // For itself, so that the error names the file.
                    Secrets::try_new([&secret]).map_err(|error| {
                        unusable(
                            format!("the secret in `{}` cannot be used", path.display()),
                            error,
                        )
                    })?;
                    secrets.push(secret);
                }
                Secrets::try_new(secrets)
                    .map(Some)
                    .map_err(|error| unusable("the secrets cannot be used".to_owned(), error))
            }
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other("it is larger than 64 KiB"));
    }
    // Editors and `echo` end a file with a line end that other instances may not have.
    Ok(bytes.trim_ascii().to_vec())
}
