#![doc = include_str!("../README.md")]

mod backend;
mod breaker;
mod budget;
mod draw;
pub mod hash;
mod health;
mod outlier;
mod pool;
mod queue;
mod roster;
mod slow_start;
mod strategy;
#[cfg(test)]
mod testing;
mod timing;
mod watch;

pub use backend::{
    Backend, BackendId, BackendState, Cause, Exclusion, LatencyParameters, Outcome, Weight,
    WeightError,
};
pub use breaker::{Breaker, BreakerPolicy, BreakerState, Trial};
pub use budget::{BudgetPolicy, RetryBudget};
pub use health::{Health, HealthCheck, HealthPolicy, ProbeResult};
pub use outlier::{Ejected, EjectionCause, OutlierPolicy, SuccessRatePolicy};
pub use pool::{
    BackendStatus, Candidate, Changes, Explanation, Pick, Picked, Pool, PoolError, PoolParameters,
    PoolPlan, PoolPolicy, PoolStatus, Verdict,
};
pub use queue::{Queue, QueuePolicy, Queued, Ticket};
pub use roster::Roster;
pub use slow_start::SlowStart;
pub use strategy::{
    Algorithm, AlgorithmError, ConsistentHashing, IpHash, LeastConnections, LeastResponseTime,
    PickHint, Reasoning, RoundRobin, Strategy, WeightedRoundRobin,
};
pub use watch::{HealthChange, HealthEvent};
