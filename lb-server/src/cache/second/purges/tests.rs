//! No purge is missed, whatever is read when, and by whom.

use proptest::prelude::*;

use super::*;
use crate::clock;

/// A log, as the scripts keep it.
#[derive(Debug, Clone)]
struct Log {
    epoch: u64,
    floor: u64,
    last: u64,
    entries: BTreeMap<Target, u64>,
}

impl Log {
    fn begun(epoch: u64) -> Self {
        Self {
            epoch,
            floor: epoch,
            last: epoch,
            entries: BTreeMap::new(),
        }
    }

    fn purge(&mut self, position: u64, target: Target) -> (u64, u64) {
        self.last = self.last.max(position) + 1;
        let before = self.entries.insert(target, self.last);
        (self.last, before.unwrap_or(0))
    }

    fn forget(&mut self, most: usize) {
        while self.entries.len() > most {
            let (target, number) = self
                .entries
                .iter()
                .min_by_key(|(_, number)| **number)
                .unwrap();
            (self.floor, _) = (*number, self.entries.remove(&target.clone()));
        }
    }

    fn news(&self, asked: u64, most: usize) -> News {
        let mut purges: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, number)| **number > asked)
            .map(|(target, number)| (Some(target.clone()), *number))
            .collect();
        purges.sort_by_key(|(_, number)| *number);
        let is_cut = purges.len() >= most;
        purges.truncate(most);
        News {
            asked,
            epoch: self.epoch,
            floor: self.floor,
            last: self.last,
            purges,
            is_cut,
        }
    }
}

const CACHED: [(&str, &str); 4] = [
    ("http://a/", "x"),
    ("http://a/b", "y"),
    ("http://b/", "x"),
    ("http://b/b", "z"),
];

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        4 => (0..CACHED.len()).prop_map(|at| Target::key(CACHED[at].0)),
        2 => prop::sample::select(vec!["http://a/", "http://b", "http"]).prop_map(Target::prefix),
        3 => prop::sample::select(vec!["x", "y", "z"]).prop_map(|tag| Target::Tag(tag.into())),
        1 => Just(Target::All),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    /// An instance purges, which its keeper announces later.
    Purge(bool, Target),
    Announce(bool),
    /// It reads the log, so many purges at most.
    Read(bool, usize),
    /// It reads what it had asked before.
    ReadLate(bool),
    /// It writes a record of this key, fetched now.
    Write(bool, usize),
    /// It keeps in its memory what it fetched now.
    Keep(bool, usize),
    Forget(usize),
    /// The store is lost and empty, and its instances notice in time.
    Lose,
}

fn step() -> impl Strategy<Value = Step> {
    let (who, which) = (any::<bool>, || 0..CACHED.len());
    prop_oneof![
        4 => (who(), target()).prop_map(|(who, target)| Step::Purge(who, target)),
        3 => who().prop_map(Step::Announce),
        4 => (who(), 1..5_usize).prop_map(|(who, most)| Step::Read(who, most)),
        1 => who().prop_map(Step::ReadLate),
        3 => (who(), which()).prop_map(|(who, key)| Step::Write(who, key)),
        3 => (who(), which()).prop_map(|(who, key)| Step::Keep(who, key)),
        1 => (0..3_usize).prop_map(Step::Forget),
        1 => Just(Step::Lose),
    ]
}

#[derive(Debug, Default)]
struct Instance {
    purges: Purges,
    /// What it keeps in memory, and the purge after which it was fetched.
    memory: BTreeMap<usize, usize>,
    late: Option<News>,
}

impl Instance {
    fn read(&mut self, news: News) {
        let now = clock::now();
        let due = self.purges.read(news, now);
        self.forget(due);
    }

    fn forget(&mut self, due: Due) {
        match due {
            Due::Everything => self.memory.clear(),
            Due::These(targets) => {
                for target in targets {
                    self.carry_out(&target);
                }
            }
        }
    }

    fn carry_out(&mut self, target: &Target) {
        self.memory.retain(|at, _| !names(target, *at));
    }

    fn announce(&mut self, log: &mut Log, most: usize) {
        let sent = self.purges.pending(most);
        let position = self.purges.position().unwrap_or(0);
        let numbers = sent
            .iter()
            .map(|(target, _)| log.purge(position, target.clone()));
        let numbers: Vec<(u64, u64)> = numbers.collect();
        let due = self.purges.announced(sent, &numbers, clock::now());
        self.forget(due);
    }

    /// As the keeper does it.
    fn synchronise(&mut self, log: &mut Log) {
        for _round in 0..3 {
            self.read_all(log);
            self.announce(log, usize::MAX);
        }
        self.read_all(log);
    }

    fn read_all(&mut self, log: &Log) {
        for _round in 0..1_000 {
            let news = log.news(self.purges.position().unwrap_or(0), 3);
            let is_cut = news.is_cut;
            self.read(news);
            if !is_cut && self.purges.position().is_some() {
                return;
            }
        }
        panic!("the log has no end");
    }
}

fn names(target: &Target, at: usize) -> bool {
    let (key, tag) = CACHED[at];
    target.names(key, [tag].into_iter())
}

proptest! {
    #[test]
    fn what_was_purged_is_found_nowhere(steps in prop::collection::vec(step(), 0..60)) {
        let mut log = Log::begun(100);
        let mut instances = [Instance::default(), Instance::default()];
        // All purges, in order, and all records: key, position, purges before the fetch.
        let mut purged: Vec<Target> = Vec::new();
        let mut records: Vec<(usize, u64, usize)> = Vec::new();
        for instance in &mut instances {
            instance.synchronise(&mut log);
        }
        for step in steps {
            match step {
                Step::Purge(who, target) => {
                    let instance = &mut instances[usize::from(who)];
                    instance.purges.add(target.clone());
                    instance.carry_out(&target);
                    purged.push(target);
                }
                Step::Announce(who) => instances[usize::from(who)].announce(&mut log, 2),
                Step::Read(who, most) => {
                    let instance = &mut instances[usize::from(who)];
                    let news = log.news(instance.purges.position().unwrap_or(0), most);
                    instance.late = Some(news.clone());
                    instance.read(news);
                }
                Step::ReadLate(who) => {
                    let instance = &mut instances[usize::from(who)];
                    if let Some(news) = instance.late.take() {
                        instance.read(news);
                    }
                }
                Step::Write(who, at) => {
                    if let Some(position) = instances[usize::from(who)].purges.position() {
                        records.push((at, position, purged.len()));
                    }
                }
                Step::Keep(who, at) => {
                    instances[usize::from(who)].memory.insert(at, purged.len());
                }
                Step::Forget(most) => log.forget(most),
                Step::Lose => {
                    records.clear();
                    log = Log::begun(log.last + 1_000);
                }
            }
            // Where a purge was made, it counts at once, for what lies in the store too.
            for instance in &instances {
                for target in instance.purges.pending.keys() {
                    let is_there = records.iter().any(|(at, position, _)| {
                        let (key, tag) = CACHED[*at];
                        names(target, *at)
                            && !instance.purges.rules_out(*position, key, || [tag].into_iter())
                    });
                    prop_assert!(!is_there, "{target:?}");
                }
            }
        }
        // When each has been in touch with the log again, a purge has reached all.
        for _round in 0..2 {
            for instance in &mut instances {
                instance.synchronise(&mut log);
            }
        }
        for instance in &instances {
            for (at, fetched) in &instance.memory {
                let later = &purged[*fetched..];
                prop_assert!(!later.iter().any(|target| names(target, *at)), "{at} {later:?}");
            }
            for (at, position, fetched) in &records {
                let (key, tag) = CACHED[*at];
                let is_used = !instance.purges.rules_out(*position, key, || [tag].into_iter());
                let later = &purged[*fetched..];
                prop_assert!(!is_used || !later.iter().any(|target| names(target, *at)));
            }
        }
    }

    #[test]
    fn a_purge_is_read_as_it_was_written(target in target()) {
        prop_assert_eq!(Target::decode(&target.encode()), Some(target));
    }

    #[test]
    fn any_entry_is_read_without_harm(entry in prop::collection::vec(any::<u8>(), 0..40)) {
        let _target = Target::decode(&entry);
    }
}

#[test]
fn what_is_long_is_cut_to_a_prefix_that_purges_more() {
    let long = format!("http://a/{}", "ä".repeat(1_000));
    for target in [Target::key(&long), Target::prefix(&long)] {
        assert!(target.encode().len() <= TEXT_MAX_BYTES + 2);
        assert!(target.names(&long, [].into_iter()), "{target:?}");
    }
    assert_eq!(Target::prefix(""), Target::All);
}

#[test]
fn with_too_many_at_once_everything_is_purged() {
    let mut purges = Purges::default();
    for number in 0..5_000 {
        purges.add(Target::Tag(number.to_string().into()));
        assert!(purges.pending.len() <= PENDING_MAX);
    }
    assert!(purges.pending.contains_key(&Target::All));
}

#[test]
fn who_was_away_for_long_when_the_store_was_lost_forgets_everything() {
    let (mut purges, start) = (Purges::default(), clock::now());
    let read = |purges: &mut Purges, log: &Log, now| {
        purges.read(log.news(purges.position().unwrap_or(0), 10), now)
    };
    let nothing = Due::These(Vec::new());
    assert_eq!(read(&mut purges, &Log::begun(1), start), nothing);
    let soon = start + REMEMBERED / 2;
    assert_eq!(read(&mut purges, &Log::begun(2), soon), nothing);
    assert_eq!(read(&mut purges, &Log::begun(2), soon), nothing);
    let late = soon + REMEMBERED;
    assert_eq!(read(&mut purges, &Log::begun(3), late), Due::Everything);
    // A log that forgot what was not read yet.
    let mut log = Log::begun(4);
    for _round in 0..2 {
        read(&mut purges, &log, late);
    }
    for number in 0..9 {
        log.purge(0, Target::Tag(number.to_string().into()));
    }
    log.forget(3);
    assert_eq!(read(&mut purges, &log, late), Due::Everything);
}

#[test]
fn what_a_later_version_purges_is_everything() {
    let (mut purges, now) = (Purges::default(), clock::now());
    let mut news = Log::begun(1).news(0, 10);
    news.purges.push((None, 2));
    news.last = 2;
    assert_eq!(purges.read(news, now), Due::Everything);
    assert!(purges.rules_out(1, "http://a/", || [].into_iter()));
    assert!(!purges.rules_out(2, "http://a/", || [].into_iter()));
}
