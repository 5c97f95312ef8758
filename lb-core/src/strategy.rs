//! What a balancing algorithm is, and the algorithms by the names that a configuration gives them.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use crate::backend::BackendId;
use crate::roster::Roster;

mod consistent_hashing;
mod ip_hash;
mod least;
mod least_connections;
mod least_response_time;
mod maglev;
mod round_robin;
mod weighted_round_robin;

pub use consistent_hashing::ConsistentHashing;
pub use ip_hash::IpHash;
pub use least_connections::LeastConnections;
pub use least_response_time::LeastResponseTime;
pub(crate) use maglev::BACKENDS_MAX;
pub use round_robin::RoundRobin;
pub use weighted_round_robin::WeightedRoundRobin;

/// A balancing algorithm: a function from a roster and a request to a position in the roster.
///
/// It neither counts the request nor takes a slot; [`Pool`](crate::Pool) does.
pub trait Strategy: fmt::Debug + Send + Sync {
    /// Picks a usable backend; `None` if there is none.
    fn pick(&self, roster: &Roster, hint: &PickHint<'_>, now: Instant) -> Option<usize>;

    /// Tells what [`Strategy::pick`] would do now and why, from the same scores, and changes nothing.
    fn explain(&self, roster: &Roster, hint: &PickHint<'_>, now: Instant) -> Reasoning;

    /// The most requests that the backend at a position should have in flight at this moment, besides its own maximum.
    fn bound(&self, _roster: &Roster, _index: usize) -> u32 {
        u32::MAX
    }

    /// Takes note of a request that went to a backend without [`Strategy::pick`], for affinity.
    fn charge(&self, _roster: &Roster, _index: usize) {}
}

/// What a strategy may know about a request.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct PickHint<'a> {
    /// The hash of what placement depends on, by [`hash::key`](crate::hash::key) or
    /// [`hash::client_address`](crate::hash::client_address). Without it the hashing strategies place by `random`.
    pub key: Option<u64>,
    /// 64 random bits, new for each pick: they break ties and make draws. Equal bits give equal picks.
    pub random: u64,
    /// Backends that this request was sent to before; they are skipped.
    pub tried: &'a [BackendId],
    /// The backend that the client stays with; it is taken if it is usable, backup or not.
    pub affinity: Option<&'a BackendId>,
}

impl<'a> PickHint<'a> {
    /// A hint with nothing but random bits.
    pub fn new(random: u64) -> Self {
        Self {
            random,
            ..Self::default()
        }
    }

    /// Sets [`PickHint::key`].
    #[must_use]
    pub fn key(mut self, key: impl Into<Option<u64>>) -> Self {
        self.key = key.into();
        self
    }

    /// Sets [`PickHint::tried`].
    #[must_use]
    pub fn tried(mut self, tried: &'a [BackendId]) -> Self {
        self.tried = tried;
        self
    }

    /// Sets [`PickHint::affinity`].
    #[must_use]
    pub fn affinity(mut self, affinity: impl Into<Option<&'a BackendId>>) -> Self {
        self.affinity = affinity.into();
        self
    }
}

/// Why a strategy picks what it picks.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reasoning {
    /// The position that [`Strategy::pick`] yields.
    pub picked: Option<usize>,
    /// The score of each position, `None` where the strategy computed none; its meaning and whether more is better are
    /// told by `rule`.
    pub scores: Vec<Option<f64>>,
    /// The rule that was applied, in one sentence without a full stop.
    pub rule: &'static str,
    /// What was drawn, looked up or skipped, in words.
    pub draw: String,
    /// Positions passed over only because they have their bounded share.
    pub over_bound: Vec<usize>,
}

impl Reasoning {
    /// Makes a reasoning without scores.
    pub fn new(picked: Option<usize>, rule: &'static str) -> Self {
        Self {
            picked,
            rule,
            scores: Vec::new(),
            draw: String::new(),
            over_bound: Vec::new(),
        }
    }
}

/// A balancing algorithm, by its name in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Algorithm {
    /// `round-robin`: each in turn, whatever its weight. See [`RoundRobin`].
    #[default]
    RoundRobin,
    /// `least-connections`: the fewest requests in flight per weight. See [`LeastConnections`].
    LeastConnections,
    /// `weighted-round-robin`: in turn, as often as the weight says, evenly spread. See [`WeightedRoundRobin`].
    WeightedRoundRobin,
    /// `ip-hash`: the same client address, the same backend. See [`IpHash`].
    IpHash,
    /// `least-response-time`: the shortest wait to expect. See [`LeastResponseTime`].
    LeastResponseTime,
    /// `consistent-hashing`: the same key, the same backend. See [`ConsistentHashing`].
    ConsistentHashing,
}

impl Algorithm {
    /// All algorithms, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::RoundRobin,
        Self::LeastConnections,
        Self::WeightedRoundRobin,
        Self::IpHash,
        Self::LeastResponseTime,
        Self::ConsistentHashing,
    ];

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastConnections => "least-connections",
            Self::WeightedRoundRobin => "weighted-round-robin",
            Self::IpHash => "ip-hash",
            Self::LeastResponseTime => "least-response-time",
            Self::ConsistentHashing => "consistent-hashing",
        }
    }

    /// Whether the algorithm places by [`PickHint::key`].
    pub fn uses_key(self) -> bool {
        matches!(self, Self::IpHash | Self::ConsistentHashing)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = AlgorithmError;

    fn from_str(name: &str) -> Result<Self, AlgorithmError> {
        let known = Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name);
        known.ok_or_else(|| AlgorithmError { name: name.into() })
    }
}

/// A name that no algorithm has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlgorithmError {
    name: Box<str>,
}

impl AlgorithmError {
    /// The algorithm that was probably meant: what other balancers call so, or the name with the fewest differences.
    pub fn nearest(&self) -> Option<Algorithm> {
        let name = self.name.to_ascii_lowercase().replace(['_', ' '], "-");
        let alias = match name.as_str() {
            "rr" | "roundrobin" => Some(Algorithm::RoundRobin),
            "wrr" | "weighted" | "smooth-wrr" => Some(Algorithm::WeightedRoundRobin),
            "least-conn" | "leastconn" | "least-request" | "least-requests" => {
                Some(Algorithm::LeastConnections)
            }
            "source" | "source-ip" | "iphash" | "client-ip" => Some(Algorithm::IpHash),
            "ewma" | "peak-ewma" | "p2c" | "least-time" | "leasttime" => {
                Some(Algorithm::LeastResponseTime)
            }
            "hash" | "ring-hash" | "maglev" | "ketama" | "uri" => {
                Some(Algorithm::ConsistentHashing)
            }
            _ => None,
        };
        alias.or_else(|| {
            let distances =
                Algorithm::ALL.map(|algorithm| (distance(&name, algorithm.as_str()), algorithm));
            let (distance, nearest) = distances
                .into_iter()
                .min_by_key(|&(distance, _)| distance)?;
            (distance <= nearest.as_str().len() / 3).then_some(nearest)
        })
    }
}

impl fmt::Display for AlgorithmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown algorithm `{}`, expected one of ", self.name)?;
        for (index, algorithm) in Algorithm::ALL.into_iter().enumerate() {
            write!(f, "{}`{algorithm}`", if index == 0 { "" } else { ", " })?;
        }
        self.nearest()
            .map_or(Ok(()), |nearest| write!(f, "; did you mean `{nearest}`?"))
    }
}

impl Error for AlgorithmError {}

/// The Levenshtein distance in bytes, of at most 64 bytes of `a`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
    }

    #[test]
    fn an_unknown_name_is_told_the_names_and_the_nearest() {
        let error = "least-connection".parse::<Algorithm>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown algorithm `least-connection`, expected one of `round-robin`, `least-connections`, \
             `weighted-round-robin`, `ip-hash`, `least-response-time`, `consistent-hashing`; \
             did you mean `least-connections`?"
        );
    }

    #[test]
    fn names_of_other_balancers_are_understood_and_nonsense_is_not() {
        let nearest = |name: &str| name.parse::<Algorithm>().unwrap_err().nearest();
        assert_eq!(nearest("Round_Robin"), Some(Algorithm::RoundRobin));
        assert_eq!(nearest("leastconn"), Some(Algorithm::LeastConnections));
        assert_eq!(nearest("maglev"), Some(Algorithm::ConsistentHashing));
        assert_eq!(
            nearest("wheighted-round-robin"),
            Some(Algorithm::WeightedRoundRobin)
        );
        assert_eq!(nearest("fastest"), None);
        assert_eq!(nearest(""), None);
        assert_eq!(nearest(&"x".repeat(10_000)), None);
    }
}
