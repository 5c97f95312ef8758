//! What was purged, as the instances tell each other: a log in the store, and what this one has read of it.
//!
//! The log numbers purges. A record keeps the number up to which its writer had read when it asked the backend: a later
//! purge that names the record makes it invalid, whenever the record arrives in the store.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

/// Purges that the log keeps, each of another thing.
pub(super) const LOG_MAX: u64 = 8_192;
/// Purges that wait to be announced, and that are kept to announce them again; beyond it everything is purged.
const PENDING_MAX: usize = 1_024;
/// Longer keys and prefixes are cut to a prefix, which purges more.
const TEXT_MAX_BYTES: usize = 512;
/// A store that was lost may have taken purges with it that others have not read yet. Whoever has announced one so long
/// before does it again, so nobody who was in touch with it until then has missed any.
const REMEMBERED: Duration = Duration::from_secs(60);

/// What a purge names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::cache) enum Target {
    Key(Box<str>),
    Prefix(Box<str>),
    Tag(Box<str>),
    All,
}

impl Target {
    pub(in crate::cache) fn key(key: &str) -> Self {
        if key.len() <= TEXT_MAX_BYTES {
            Self::Key(key.into())
        } else {
            Self::prefix(key)
        }
    }

    pub(in crate::cache) fn prefix(prefix: &str) -> Self {
        if prefix.is_empty() {
            return Self::All;
        }
        let end = prefix.floor_char_boundary(TEXT_MAX_BYTES);
        Self::Prefix(prefix[..end].into())
    }

    /// As an entry of the log.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, text) = match self {
            Self::Key(key) => ("k:", &**key),
            Self::Prefix(prefix) => ("p:", &**prefix),
            Self::Tag(tag) => ("t:", &**tag),
            Self::All => ("a:", ""),
        };
        [kind.as_bytes(), text.as_bytes()].concat()
    }

    /// What an entry of the log names; `None` for what it says about itself, and for what a later version may add.
    pub(super) fn decode(entry: &[u8]) -> Option<Self> {
        let (kind, text) = str::from_utf8(entry).ok()?.split_once(':')?;
        match kind {
            "k" => Some(Self::Key(text.into())),
            "p" => Some(Self::prefix(text)),
            "t" => Some(Self::Tag(text.into())),
            "a" => Some(Self::All),
            _ => None,
        }
    }

    fn names<'t>(&self, key: &str, mut tags: impl Iterator<Item = &'t str>) -> bool {
        match self {
            Self::Key(purged) => **purged == *key,
            Self::Prefix(prefix) => key.starts_with(&**prefix),
            Self::Tag(purged) => tags.any(|tag| **purged == *tag),
            Self::All => true,
        }
    }
}

/// What the log answers to whoever had read it up to `asked`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct News {
    pub(super) asked: u64,
    /// When the log was begun: another log has another one.
    pub(super) epoch: u64,
    /// Up to where it may have forgotten.
    pub(super) floor: u64,
    /// Its latest number.
    pub(super) last: u64,
    /// The purges after `asked`, oldest first; `None` is a purge that this version does not know.
    pub(super) purges: Vec<(Option<Target>, u64)>,
    /// Whether there are more of them.
    pub(super) is_cut: bool,
}

/// What has to leave the memory of this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Due {
    These(Vec<Target>),
    /// It cannot be told what was missed.
    Everything,
}

/// What this instance knows of the purges of one cache.
#[derive(Debug, Default)]
pub(super) struct Purges {
    log: Option<LogRead>,
    /// When the log was read last.
    in_touch: Option<Instant>,
    /// Purges of this instance that are not in the log yet, by how many there were before.
    pending: BTreeMap<Target, u64>,
    made: u64,
    /// Those that were announced lately, oldest first.
    announced: VecDeque<(Target, Instant)>,
}

/// A log as far as it was read.
#[derive(Debug)]
struct LogRead {
    epoch: u64,
    floor: u64,
    position: u64,
    /// The latest number of each purge but of prefixes.
    exact: HashMap<Target, u64, RandomState>,
    prefixes: HashMap<Target, u64, RandomState>,
}

impl LogRead {
    /// Takes note of a purge and returns the number that it had.
    fn note(&mut self, target: Target, number: u64) -> Option<u64> {
        let known = match target {
            Target::Prefix(_) => &mut self.prefixes,
            _ => &mut self.exact,
        };
        known.insert(target, number)
    }

    fn forget_up_to(&mut self, floor: u64) {
        if floor > self.floor {
            self.floor = floor;
            for known in [&mut self.exact, &mut self.prefixes] {
                known.retain(|_, number| *number > floor);
            }
        }
    }
}

impl Purges {
    /// Keeps a purge until it is announced.
    pub(super) fn add(&mut self, target: Target) {
        self.made += 1;
        if self.pending.len() >= PENDING_MAX && !self.pending.contains_key(&target) {
            self.pending.clear();
            self.pending.insert(Target::All, self.made);
        } else {
            self.pending.insert(target, self.made);
        }
    }

    /// The purges to announce, at most so many, each with what [`Purges::announced`] knows it by.
    pub(super) fn pending(&self, most: usize) -> Vec<(Target, u64)> {
        let pending = self.pending.iter().take(most);
        pending
            .map(|(target, made)| (target.clone(), *made))
            .collect()
    }

    /// Takes note that purges are in the log: the number of each, and the one that it had there before, or 0.
    ///
    /// What another has purged meanwhile is the same entry and can no longer be read, so it is due now.
    pub(super) fn announced(
        &mut self,
        sent: Vec<(Target, u64)>,
        numbers: &[(u64, u64)],
        now: Instant,
    ) -> Due {
        let mut due = Vec::new();
        let Some(log) = &mut self.log else {
            // Which log they are in is not known: they are announced again.
            return Due::These(due);
        };
        for ((target, made), (number, before)) in sent.into_iter().zip(numbers) {
            // One that was made again meanwhile is announced again.
            if self.pending.get(&target) == Some(&made) {
                self.pending.remove(&target);
            }
            log.note(target.clone(), *number);
            if *before > log.position {
                due.push(target.clone());
            }
            self.announced.push_back((target, now));
        }
        if self.announced.len() > PENDING_MAX {
            self.announced = VecDeque::from([(Target::All, now)]);
        }
        Due::These(due)
    }

    /// How far the log was read; `None` before it was.
    pub(super) fn position(&self) -> Option<u64> {
        self.log.as_ref().map(|log| log.position)
    }

    /// Takes note of what the log says, and says what this instance has to forget.
    pub(super) fn read(&mut self, news: News, now: Instant) -> Due {
        let lately = self
            .in_touch
            .is_some_and(|then| now.saturating_duration_since(then) < REMEMBERED);
        let Some(log) = &mut self.log else {
            if news.asked > 0 {
                // An answer to whoever has read another log.
                return Due::These(Vec::new());
            }
            self.log = Some(LogRead {
                epoch: news.epoch,
                floor: news.floor,
                position: 0,
                exact: HashMap::default(),
                prefixes: HashMap::default(),
            });
            // What it has forgotten may be later than what is in memory.
            let has_forgotten = news.floor > news.epoch;
            let due = self.read_on(news, now);
            return if has_forgotten { Due::Everything } else { due };
        };
        if news.epoch != log.epoch || news.last < log.position {
            // Another store, or one without its latest purges.
            self.log = None;
            self.in_touch = Some(now);
            for (target, _) in std::mem::take(&mut self.announced) {
                self.add(target);
            }
            return if lately {
                Due::These(Vec::new())
            } else {
                Due::Everything
            };
        }
        let has_forgotten = news.floor > log.position && log.position > 0;
        let due = self.read_on(news, now);
        if has_forgotten { Due::Everything } else { due }
    }

    fn read_on(&mut self, news: News, now: Instant) -> Due {
        let Some(log) = &mut self.log else {
            return Due::Everything;
        };
        if news.asked > log.position {
            return Due::These(Vec::new());
        }
        self.in_touch = Some(now);
        while let Some((_, then)) = self.announced.front()
            && now.saturating_duration_since(*then) > REMEMBERED
        {
            self.announced.pop_front();
        }
        log.forget_up_to(news.floor);
        let mut due = Vec::new();
        let last = news.purges.last().map(|(_, number)| *number);
        let mut is_unknown = false;
        for (target, number) in news.purges {
            if number <= log.position {
                continue;
            }
            let Some(target) = target else {
                is_unknown = true;
                continue;
            };
            // Its own has been carried out.
            if log.note(target.clone(), number) != Some(number) {
                due.push(target);
            }
        }
        let read = if news.is_cut { last } else { Some(news.last) };
        log.position = log.position.max(read.unwrap_or(0));
        if is_unknown {
            log.forget_up_to(log.position);
            return Due::Everything;
        }
        Due::These(due)
    }

    /// Whether a record may not be used whose writer had read the log up to `position`.
    ///
    /// # Complexity
    /// O(tags + purged prefixes + purges not announced yet).
    pub(super) fn rules_out<'t, I>(&self, position: u64, key: &str, tags: impl Fn() -> I) -> bool
    where
        I: Iterator<Item = &'t str>,
    {
        let Some(log) = &self.log else { return true };
        if position < log.floor || position > log.position {
            return true;
        }
        let later = |number: &u64| *number > position;
        let is_later = |target: &Target| log.exact.get(target).is_some_and(later);
        is_later(&Target::All)
            || is_later(&Target::key(key))
            || tags().any(|tag| is_later(&Target::Tag(tag.into())))
            || log
                .prefixes
                .iter()
                .any(|(target, number)| later(number) && target.names(key, tags()))
            || self.pending.keys().any(|target| target.names(key, tags()))
    }
}

#[cfg(test)]
mod tests;
