//! Reloads of a running server: by SIGHUP, and with `--watch` by files that change.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use lb_server::{Config, Handle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::failure::Failure;
use crate::output;
use crate::service;

/// How often the files are looked at. A change is taken once it has stood for as long, so that nobody
/// reads a certificate whose key is still being written.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What asks for a reload.
pub(crate) struct Reloads {
    hangup: Signal,
    watched: Option<Watched>,
}

impl Reloads {
    /// Takes SIGHUP over from its default, which is to die, and begins to watch the files, if there are any.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub(crate) fn listen(files: Option<Files>) -> Result<Self, Failure> {
        let hangup = signal(SignalKind::hangup())
            .context("cannot take over signals")
            .map_err(|error| Failure::failed(error, "run it under another service manager"))?;
        Ok(Self {
            hangup,
            watched: files.map(Watched::new),
        })
    }

    /// Reloads whenever that is asked for. What comes of it the server says in the log.
    pub(crate) async fn follow(mut self, handle: Handle) -> Infallible {
        loop {
            let why = self.next().await;
            tracing::info!(why, "reloading");
            service::reloading();
            let reloaded = handle.reload_from_source().await;
            // Whatever came of it: what was in force before is, if nothing else.
            service::ready(&handle);
            if let Ok(report) = reloaded {
                for warning in &report.warnings {
                    output::warning(warning);
                }
                if let Some(watched) = &mut self.watched {
                    watched.follow(&handle.config());
                }
            }
        }
    }

    async fn next(&mut self) -> &'static str {
        let Some(watched) = &mut self.watched else {
            self.hangup.recv().await;
            return "SIGHUP";
        };
        tokio::select! {
            _ = self.hangup.recv() => {
                // Whatever changed until now is read with it.
                watched.taken = watched.files.look();
                "SIGHUP"
            }
            () = watched.changed() => "files changed",
        }
    }
}

/// Files that are watched.
struct Watched {
    files: Files,
    /// As they were when they were read.
    taken: Look,
    /// As they were seen last.
    seen: Look,
    clock: Interval,
}

impl Watched {
    fn new(files: Files) -> Self {
        let mut clock = interval(LOOK_EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let taken = files.look();
        Self {
            files,
            seen: taken.clone(),
            taken,
            clock,
        }
    }

    /// Watches those that another configuration names, as they are now.
    fn follow(&mut self, config: &Config) {
        self.files.others = config.files();
        let mut now = self.files.look();
        for (path, stamp) in &mut now.0 {
            if let Some(taken) = self.taken.0.get(path) {
                stamp.clone_from(taken);
            }
        }
        self.taken = now;
    }

    async fn changed(&mut self) {
        loop {
            self.clock.tick().await;
            let now = self.files.look();
            let is_settled = now == self.seen;
            self.seen = now;
            if is_settled && self.seen != self.taken {
                self.taken.clone_from(&self.seen);
                return;
            }
        }
    }
}

/// The files that a configuration is read from.
#[derive(Debug)]
pub(crate) struct Files {
    config: Option<PathBuf>,
    others: Vec<PathBuf>,
}

/// What tells a file from one that was changed in place, replaced by a rename, or led elsewhere by a link.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Files as they are at a moment; `None` for those that are not there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look(BTreeMap<PathBuf, Option<Stamp>>);

impl Files {
    /// The file of a configuration, and those that it names.
    pub(crate) fn of(path: Option<&Path>, config: &Config) -> Self {
        Self {
            config: path.map(Path::to_owned),
            others: config.files(),
        }
    }

    fn look(&self) -> Look {
        let all = self.config.iter().chain(&self.others);
        Look(all.map(|path| (path.clone(), Stamp::of(path))).collect())
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            file: (found.dev(), found.ino()),
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_replaced_or_is_gone_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("a"), "one").unwrap();
        let files = Files {
            config: Some(at("a")),
            others: vec![at("b")],
        };
        let first = files.look();
        assert_eq!(first, files.look());
        assert_eq!(first.0[&at("b")], None);
        // The same bytes in another file, as editors leave it.
        fs::write(at("new"), "one").unwrap();
        fs::rename(at("new"), at("a")).unwrap();
        let second = files.look();
        assert_ne!(first, second);
        std::os::unix::fs::symlink(at("a"), at("b")).unwrap();
        let third = files.look();
        assert_ne!(second, third);
        fs::remove_file(at("a")).unwrap();
        assert_ne!(third, files.look());
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_once_and_only_when_it_has_settled() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, "1").unwrap();
        let mut watched = Watched::new(Files {
            config: Some(path.clone()),
            others: Vec::new(),
        });
        let began = tokio::time::Instant::now();
        let writing = async {
            tokio::time::sleep(LOOK_EVERY / 2).await;
            for length in 2..6 {
                fs::write(&path, "x".repeat(length)).unwrap();
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::join!(watched.changed(), writing);
        assert_eq!(began.elapsed().as_secs(), 5);
        let again = tokio::time::timeout(LOOK_EVERY * 60, watched.changed());
        assert!(again.await.is_err(), "it was told already");
    }
}
