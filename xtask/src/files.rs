//! Files and directories, with errors that name them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};

/// What a directory holds, by name.
pub(crate) fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let list = || {
        let entries = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path()));
        entries.collect::<std::io::Result<Vec<_>>>()
    };
    let mut found = list().with_context(|| format!("cannot read {}", directory.display()))?;
    found.sort();
    Ok(found)
}

/// Makes a directory that holds nothing.
pub(crate) fn empty(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("cannot empty {}", directory.display()))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))
}

/// Copies a file or a directory without what is left out, as old as it is: cargo builds again
/// what is younger.
pub(crate) fn copy_tree(from: &Path, to: &Path, left_out: &[PathBuf]) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
        for entry in entries(from)? {
            if !left_out.contains(&entry) {
                let name = entry.file_name().unwrap_or_default();
                copy_tree(&entry, &to.join(name), left_out)?;
            }
        }
        return Ok(());
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    set_modified(to, modified(from)?)
}

pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn modified(path: &Path) -> Result<SystemTime> {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.with_context(|| format!("cannot tell the age of {}", path.display()))
}

fn set_modified(path: &Path, time: SystemTime) -> Result<()> {
    let file = File::options().append(true).open(path);
    file.and_then(|file| file.set_modified(time))
        .with_context(|| format!("cannot set the age of {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_into_itself_what_is_not_left_out() {
        let root = std::env::temp_dir().join(format!("lb-files-{}", std::process::id()));
        let output = root.join("a/output");
        empty(&output).unwrap();
        write(&root.join("a/kept"), "as it was").unwrap();
        let old = SystemTime::UNIX_EPOCH;
        set_modified(&root.join("a/kept"), old).unwrap();

        let copy = output.join("copy");
        copy_tree(&root, &copy, std::slice::from_ref(&output)).unwrap();
        assert_eq!(entries(&copy.join("a")).unwrap(), [copy.join("a/kept")]);
        assert_eq!(read(&copy.join("a/kept")).unwrap(), "as it was");
        assert_eq!(modified(&copy.join("a/kept")).unwrap(), old);

        empty(&copy).unwrap();
        assert!(entries(&copy).unwrap().is_empty());
        fs::remove_dir_all(root).unwrap();
    }
}
