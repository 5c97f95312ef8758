//! The workspace with patched dependencies, beside the one that is checked in.
//!
//! Cargo takes a patched crate from a directory only, and a lock file says of each crate where it
//! is from. A copy of the workspace below the target directory has both, so that whoever builds
//! with cargo alone gets each crate as it was published. `xtask/patches/README.md` says what each
//! patch is for.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use diffy::patch_set::{FileOperation, ParseOptions, PatchSet};
use serde_json::Value;

use crate::files;
use crate::steps::{Workspace, say};

/// A crate that has patches.
#[derive(Debug)]
struct Patched {
    name: String,
    version: String,
    /// Where cargo has unpacked it.
    published: PathBuf,
    /// In the order in which they are applied.
    patches: Vec<PathBuf>,
}

/// Lays out the copy with its crates patched; builds in it go to `target`.
pub(crate) fn stage(workspace: &Workspace, target: &Path) -> Result<Workspace> {
    let here = workspace.target.join("patched");
    let copy = here.join("workspace");
    // The target directory, wherever it is: the copy must not hold itself.
    let mut left_out = vec![workspace.target.clone()];
    left_out.extend([".git", "target"].map(|name| workspace.root.join(name)));
    files::empty(&copy)?;
    files::copy_tree(&workspace.root, &copy, &left_out)?;
    let metadata = metadata(workspace)?;
    let mut redirected = String::from("\n[patch.crates-io]\n");
    let lock_file = copy.join("Cargo.lock");
    let mut lock = files::read(&lock_file)?;
    for directory in files::entries(&workspace.root.join("xtask/patches"))? {
        if !directory.is_dir() {
            continue;
        }
        let patched = Patched::find(&directory, &metadata)?;
        let place = format!("{}-{}", patched.name, patched.version);
        patched.lay_out(&here.join(&place))?;
        redirected += &format!("{} = {{ path = \"../{place}\" }}\n", patched.name);
        lock = unlocked(&lock, &patched.name)?;
    }
    let manifest = copy.join("Cargo.toml");
    files::write(&manifest, &(files::read(&manifest)? + &redirected))?;
    files::write(&lock_file, &lock)?;
    Workspace::at(&copy, target)
}

impl Patched {
    /// The crate that a directory of patches is named after.
    fn find(directory: &Path, metadata: &Value) -> Result<Self> {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        let packages = metadata["packages"].as_array().into_iter().flatten();
        let mut found = packages.filter(|package| package["name"] == *name);
        let (Some(package), None) = (found.next(), found.next()) else {
            bail!(
                "{} is for one crate, and Cargo.lock has none or several of that name",
                directory.display()
            );
        };
        let text = |key: &str| {
            let text = package[key].as_str();
            text.with_context(|| format!("`cargo metadata` tells no `{key}` of {name}"))
        };
        let published = Path::new(text("manifest_path")?).parent();
        let mut patches = files::entries(directory)?;
        patches.retain(|path| path.extension().is_some_and(|it| it == "patch"));
        let is_used = !patches.is_empty();
        ensure!(is_used, "{} has no patch: remove it", directory.display());
        Ok(Self {
            version: text("version")?.to_owned(),
            published: published.context("a manifest has a directory")?.to_owned(),
            patches,
            name: name.into_owned(),
        })
    }

    /// Copies its sources and applies each patch.
    fn lay_out(&self, place: &Path) -> Result<()> {
        files::empty(place)?;
        files::copy_tree(&self.published, place, &[])?;
        // A workspace of its own, so that its own tests can be run where it lies.
        let manifest = place.join("Cargo.toml");
        files::write(&manifest, &(files::read(&manifest)? + "\n[workspace]\n"))?;
        for patch in &self.patches {
            apply(patch, place).with_context(|| {
                format!(
                    "{} cannot be applied to {} {}: renew it or remove it",
                    patch.display(),
                    self.name,
                    self.version
                )
            })?;
        }
        let name = &self.name;
        let count = self.patches.len();
        say(&format!("    {name} {} with {count} patches", self.version));
        Ok(())
    }
}

/// Applies one patch to the files below a directory.
fn apply(patch: &Path, directory: &Path) -> Result<()> {
    let changed = changed(&files::read(patch)?, |file| {
        files::read(&directory.join(file))
    })?;
    for (file, text) in changed {
        // As young as now: cargo goes by age, which does not tell that a patch has come or gone.
        files::write(&directory.join(file), &text)?;
    }
    Ok(())
}

/// What the files that a patch changes become; `source` reads them.
fn changed(patch: &str, source: impl Fn(&str) -> Result<String>) -> Result<Vec<(String, String)>> {
    let mut changed = Vec::new();
    for file in PatchSet::parse(patch, ParseOptions::gitdiff()) {
        let file = file.context("it is no patch as git writes them")?;
        let FileOperation::Modify { original, modified } = file.operation().strip_prefix(1) else {
            bail!("it does more than change files: {:?}", file.operation());
        };
        ensure!(original == modified, "it renames {original} to {modified}");
        let change = file.patch().as_text();
        let change = change.with_context(|| format!("what it does to {original} is no text"))?;
        let text = diffy::apply(&source(&original)?, change);
        let text = text.with_context(|| format!("{original} has changed since"))?;
        changed.push((original.into_owned(), text));
    }
    ensure!(!changed.is_empty(), "it changes nothing");
    Ok(changed)
}

/// The lock file with a crate that is no longer from where it was.
fn unlocked(lock: &str, name: &str) -> Result<String> {
    let head = format!("[[package]]\nname = \"{name}\"\n");
    let (before, rest) = lock
        .split_once(&head)
        .with_context(|| format!("Cargo.lock has no {name}"))?;
    let (package, after) = rest.split_once("\n\n").unwrap_or((rest, ""));
    let kept = package
        .lines()
        .filter(|line| !line.starts_with("source = ") && !line.starts_with("checksum = "));
    let package = kept.collect::<Vec<_>>().join("\n");
    Ok(format!("{before}{head}{package}\n\n{after}"))
}

/// All that cargo knows, with where it has unpacked each crate.
fn metadata(workspace: &Workspace) -> Result<Value> {
    let mut command = workspace.cargo(&["metadata", "--format-version=1", "--locked"]);
    let output = command.output().context("cannot run `cargo metadata`")?;
    ensure!(
        output.status.success(),
        "`cargo metadata` failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("cannot read `cargo metadata`")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "\
counting: begin with one

Nothing is no number.

diff --git a/src/lib.rs b/src/lib.rs
--- a/src/lib.rs
+++ b/src/lib.rs
@@ -1,3 +1,3 @@
 fn first() -> u32 {
-    0
+    1
 }
";

    fn source(text: &'static str) -> impl Fn(&str) -> Result<String> {
        move |file| match file {
            "src/lib.rs" => Ok(text.to_owned()),
            other => bail!("no {other}"),
        }
    }

    #[test]
    fn changes_what_a_patch_names() {
        let changed = changed(PATCH, source("fn first() -> u32 {\n    0\n}\n")).unwrap();
        let text = "fn first() -> u32 {\n    1\n}\n".to_owned();
        assert_eq!(changed, [("src/lib.rs".to_owned(), text)]);
    }

    #[test]
    fn refuses_what_it_was_not_made_for() {
        let other = source("fn first() -> u32 {\n    2\n}\n");
        let error = changed(PATCH, other).unwrap_err();
        assert!(format!("{error:#}").contains("src/lib.rs has changed since"));
        assert!(changed("nothing\n", source("")).is_err());
        let created = PATCH.replace("--- a/src/lib.rs", "--- /dev/null");
        assert!(changed(&created, source("")).is_err());
    }

    #[test]
    fn takes_a_crate_from_elsewhere_than_the_lock_file_says() {
        let lock = "\
[[package]]
name = \"a\"
version = \"1.0.0\"
source = \"registry\"
checksum = \"0123\"
dependencies = [
 \"b\",
]

[[package]]
name = \"b\"
version = \"2.0.0\"
source = \"registry\"
";
        let unlocked = unlocked(lock, "a").unwrap();
        let without = lock.replacen("source = \"registry\"\nchecksum = \"0123\"\n", "", 1);
        assert_eq!(unlocked, without);
        assert!(super::unlocked(lock, "c").is_err());
    }
}
