//! Writing certificates and keys: never over a file unasked, and keys never readable by others,
//! not even for a moment.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Everybody.
    Public,
    /// Its owner only.
    Secret,
}

/// A file to write.
#[derive(Debug)]
pub(super) struct NewFile<'a> {
    path: &'a Path,
    kind: Kind,
    content: &'a str,
}

impl<'a> NewFile<'a> {
    pub(super) fn new(path: &'a Path, kind: Kind, content: &'a str) -> Self {
        Self {
            path,
            kind,
            content,
        }
    }
}

/// Fails if one of `paths` exists.
///
/// # Errors
///
/// Names the first that does.
pub(super) fn refuse_existing(paths: &[&Path]) -> anyhow::Result<()> {
    for path in paths {
        // A dangling link is there too: writing would follow it.
        if path.symlink_metadata().is_ok() {
            bail!(
                "`{}` exists already and nothing was written",
                path.display()
            );
        }
    }
    Ok(())
}

/// Writes all of `files` or, on an error, none of those that did not exist before.
///
/// With `overwrite` a file is replaced whole by renaming, so that nobody reads half of it and an
/// old mode does not outlive it.
///
/// # Errors
///
/// One cannot be written, or exists while `overwrite` is false.
pub(super) fn write(files: &[NewFile<'_>], overwrite: bool) -> anyhow::Result<()> {
    let mut written: Vec<&Path> = Vec::new();
    for file in files {
        let result = if overwrite {
            replace(file)
        } else {
            create(file.path, file)
        };
        if let Err(error) = result {
            if !overwrite {
                for path in written {
                    // The first error is the one to report.
                    let _ = fs::remove_file(path);
                }
            }
            return Err(error).with_context(|| format!("cannot write `{}`", file.path.display()));
        }
        written.push(file.path);
    }
    Ok(())
}

fn replace(file: &NewFile<'_>) -> io::Result<()> {
    let mut beside = file.path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    create(&beside, file)
        .and_then(|()| fs::rename(&beside, file.path))
        .inspect_err(|_| {
            let _ = fs::remove_file(&beside);
        })
}

fn create(path: &Path, file: &NewFile<'_>) -> io::Result<()> {
    let mode = match file.kind {
        Kind::Public => 0o644,
        Kind::Secret => 0o600,
    };
    let mut new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    new.write_all(file.content.as_bytes())?;
    new.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_replaced_key_gets_the_strict_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.key");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write(&[NewFile::new(&path, Kind::Secret, "new")], true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_was_new_is_removed_when_the_next_file_cannot_be_written() {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("server.key");
        let cert = directory.path().join("server.crt");
        fs::write(&cert, "other").unwrap();
        let files = [
            NewFile::new(&key, Kind::Secret, "key"),
            NewFile::new(&cert, Kind::Public, "cert"),
        ];
        assert!(write(&files, false).is_err());
        assert!(!key.exists());
        assert_eq!(fs::read_to_string(&cert).unwrap(), "other");
    }
}
