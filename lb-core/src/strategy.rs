//! The algorithms by the names that a configuration gives them.

/// A balancing algorithm, by its name in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `round-robin`
    RoundRobin,
    /// `least-connections`
    LeastConnections,
    /// `weighted-round-robin`
    WeightedRoundRobin,
    /// `ip-hash`
    IpHash,
    /// `least-response-time`
    LeastResponseTime,
    /// `consistent-hashing`
    ConsistentHashing,
}
