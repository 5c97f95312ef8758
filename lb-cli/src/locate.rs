//! Where the configuration file is.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

const NAMES: [&str; 2] = ["lb.toml", "lb.json"];

/// The file that was named by `flag` or `LB_CONFIG`, whether it exists or not, so that a mistyped
/// path is an error and never a demonstration; else the first that exists of those searched for.
pub(crate) fn locate(flag: Option<&Path>) -> Option<PathBuf> {
    search(flag, |name| env::var_os(name), |path| path.is_file())
}

fn search(
    flag: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
    exists: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    let variable = |name| variable(name).filter(|value| !value.is_empty());
    if let Some(named) = flag
        .map(Path::to_owned)
        .or_else(|| variable("LB_CONFIG").map(PathBuf::from))
    {
        return Some(named);
    }
    let home = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".config")));
    let directories = [
        Some(PathBuf::new()),
        home.map(|home| home.join("lb")),
        Some(PathBuf::from("/etc/lb")),
    ];
    directories
        .into_iter()
        .flatten()
        .flat_map(|directory| NAMES.map(|name| directory.join(name)))
        .find(|path| exists(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(flag: Option<&str>, variables: &[(&str, &str)], files: &[&str]) -> Option<String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let exists = |path: &Path| files.iter().any(|file| Path::new(file) == path);
        let path = search(flag.map(Path::new), variable, exists);
        path.map(|path| path.display().to_string())
    }

    #[test]
    fn the_nearest_place_wins() {
        let files = ["lb.json", "/x/lb/lb.toml", "/etc/lb/lb.toml"];
        let variables = [("XDG_CONFIG_HOME", "/x")];
        assert_eq!(found(None, &variables, &files).as_deref(), Some("lb.json"));
        assert_eq!(
            found(None, &variables, &files[1..]).as_deref(),
            Some("/x/lb/lb.toml")
        );
        assert_eq!(
            found(None, &[], &files[2..]).as_deref(),
            Some("/etc/lb/lb.toml")
        );
        assert_eq!(found(None, &variables, &[]), None);
    }

    #[test]
    fn a_named_file_needs_not_exist_to_be_meant() {
        let variables = [("LB_CONFIG", "/b.toml")];
        assert_eq!(
            found(Some("a.toml"), &variables, &["lb.toml"]).as_deref(),
            Some("a.toml")
        );
        assert_eq!(
            found(None, &variables, &["lb.toml"]).as_deref(),
            Some("/b.toml")
        );
    }
}
