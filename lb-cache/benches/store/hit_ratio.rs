//! How many accesses of a trace find their key.

use std::num::NonZeroU32;
use std::num::NonZeroUsize;

use lb_cache::{Lru, Policy, S3Fifo, ShardedStore, Store};

use crate::traces::Trace;

/// Entries that fit, of the million keys of a trace: 1 % and 10 %.
pub(crate) const CAPACITIES: [usize; 2] = [10_000, 100_000];

/// What is compared: makes a cache and plays a trace through it.
struct Contender {
    name: &'static str,
    play: fn(&[u64], usize) -> f64,
}

/// Percent of accesses that hit, by contender, then by trace and capacity.
pub(crate) struct HitRatios(Vec<(&'static str, Vec<f64>)>);

/// Columns that the goals are set for: all traces but the last.
pub(crate) const WITH_GOAL: usize = (Trace::ALL.len() - 1) * CAPACITIES.len();

impl HitRatios {
    pub(crate) fn measure() -> Self {
        let contenders = contenders();
        let row = |contender: &Contender| (contender.name, Vec::new());
        let mut rows: Vec<(&'static str, Vec<f64>)> = contenders.iter().map(row).collect();
        for trace in Trace::ALL {
            let keys = trace.keys();
            for capacity in CAPACITIES {
                for (contender, (_, row)) in contenders.iter().zip(&mut rows) {
                    row.push((contender.play)(&keys, capacity));
                }
            }
        }
        Self(rows)
    }

    /// Trace and capacity of each column.
    pub(crate) fn titles() -> impl Iterator<Item = String> {
        let title = |trace: Trace, percent| format!("{}, {percent}", trace.name());
        Trace::ALL
            .into_iter()
            .flat_map(move |trace| ["1 %", "10 %"].map(|percent| title(trace, percent)))
    }

    pub(crate) fn of(&self, name: &str) -> Option<&[f64]> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, row)| row.as_slice())
    }

    pub(crate) fn others(&self) -> impl Iterator<Item = &[f64]> {
        let others = self
            .0
            .iter()
            .filter(|(name, _)| !name.starts_with("lb-cache"));
        others.map(|(_, row)| row.as_slice())
    }

    #[expect(clippy::print_stdout, reason = "the table is the purpose")]
    pub(crate) fn print(&self) {
        print!("\n{:<28}", "hits, %");
        Self::titles().for_each(|title| print!(" {title:>11}"));
        println!();
        for (name, row) in &self.0 {
            print!("{name:<28}");
            row.iter().for_each(|percent| print!(" {percent:>11.2}"));
            println!();
        }
    }
}

fn contenders() -> Vec<Contender> {
    #[cfg_attr(
        not(feature = "anchors"),
        expect(unused_mut, reason = "the feature adds more")
    )]
    let mut contenders = vec![
        Contender {
            name: "lb-cache Lru",
            play: |keys, capacity| store::<Lru>(keys, capacity),
        },
        Contender {
            name: "lb-cache S3Fifo",
            play: |keys, capacity| store::<S3Fifo>(keys, capacity),
        },
        Contender {
            name: "lb-cache S3Fifo, 16 shards",
            play: sharded,
        },
        Contender {
            name: "lru",
            play: lru,
        },
        Contender {
            name: "quick_cache",
            play: quick_cache,
        },
        Contender {
            name: "quick_cache unsync",
            play: quick_cache_unsync,
        },
    ];
    #[cfg(feature = "anchors")]
    contenders.extend([
        Contender {
            name: "moka",
            play: heavy::moka,
        },
        Contender {
            name: "TinyUFO",
            play: heavy::tiny_ufo,
        },
        Contender {
            name: "foyer S3-FIFO",
            play: heavy::foyer_s3fifo,
        },
        Contender {
            name: "foyer LFU",
            play: heavy::foyer_lfu,
        },
    ]);
    contenders
}

/// Plays a trace: what is not found is inserted.
fn play(keys: &[u64], mut hit: impl FnMut(u64) -> bool) -> f64 {
    let hits = keys.iter().filter(|&&key| hit(key)).count();
    hits as f64 * 100.0 / keys.len() as f64
}

fn store<P: Policy>(keys: &[u64], capacity: usize) -> f64 {
    let mut store: Store<u64, u64, P> = Store::new(capacity as u64);
    play(keys, |key| {
        let hit = store.get(&key).is_some();
        if !hit {
            store.insert(key, key, 1);
        }
        hit
    })
}

fn sharded(keys: &[u64], capacity: usize) -> f64 {
    let shards = NonZeroU32::new(16).expect("16");
    let store: ShardedStore<u64, u64> = ShardedStore::new(capacity as u64, shards);
    play(keys, |key| {
        let hit = store.get(&key).is_some();
        if !hit {
            store.insert(key, key, 1);
        }
        hit
    })
}

fn lru(keys: &[u64], capacity: usize) -> f64 {
    let mut cache = lru::LruCache::new(NonZeroUsize::new(capacity).expect("room"));
    play(keys, |key| {
        let hit = cache.get(&key).is_some();
        if !hit {
            cache.put(key, key);
        }
        hit
    })
}

fn quick_cache(keys: &[u64], capacity: usize) -> f64 {
    let cache = quick_cache::sync::Cache::new(capacity);
    play(keys, |key| {
        let hit = cache.get(&key).is_some();
        if !hit {
            cache.insert(key, key);
        }
        hit
    })
}

fn quick_cache_unsync(keys: &[u64], capacity: usize) -> f64 {
    let mut cache = quick_cache::unsync::Cache::new(capacity);
    play(keys, |key| {
        let hit = cache.get(&key).is_some();
        if !hit {
            cache.insert(key, key);
        }
        hit
    })
}

#[cfg(feature = "anchors")]
mod heavy {
    use foyer_memory::{Cache, CacheBuilder, EvictionConfig, LfuConfig, S3FifoConfig};

    use super::play;

    pub(super) fn moka(keys: &[u64], capacity: usize) -> f64 {
        let cache = moka::sync::Cache::new(capacity as u64);
        play(keys, |key| {
            let hit = cache.get(&key).is_some();
            if !hit {
                cache.insert(key, key);
            }
            hit
        })
    }

    pub(super) fn tiny_ufo(keys: &[u64], capacity: usize) -> f64 {
        let cache = tinyufo::TinyUfo::new(capacity, capacity);
        play(keys, |key| {
            let hit = cache.get(&key).is_some();
            if !hit {
                cache.put(key, key, 1);
            }
            hit
        })
    }

    pub(super) fn foyer_s3fifo(keys: &[u64], capacity: usize) -> f64 {
        foyer(keys, capacity, S3FifoConfig::default())
    }

    pub(super) fn foyer_lfu(keys: &[u64], capacity: usize) -> f64 {
        foyer(keys, capacity, LfuConfig::default())
    }

    fn foyer(keys: &[u64], capacity: usize, config: impl Into<EvictionConfig>) -> f64 {
        let cache: Cache<u64, u64> = CacheBuilder::new(capacity)
            .with_shards(8)
            .with_eviction_config(config)
            .build();
        play(keys, |key| {
            let hit = cache.get(&key).is_some();
            if !hit {
                cache.insert(key, key);
            }
            hit
        })
    }
}
