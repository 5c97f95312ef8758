//! From what a configuration says about failures to what lb-core decides by.

use lb_core::{
    BreakerPolicy, HealthPolicy, OutlierPolicy, PoolPolicy, SlowStart, SuccessRatePolicy,
};

use crate::config::{
    CircuitBreakerConfig, HealthCheckConfig, LoadBalancerConfig, OutlierDetectionConfig,
    ProbeConfig, SlowStartConfig,
};

/// How a pool watches over its backends.
pub(super) fn policy(config: &LoadBalancerConfig) -> PoolPolicy {
    let probe = config.health_check.as_ref().map(|check| &check.probe);
    // A connection can be had of a backend that answers nothing, or nothing but errors.
    let readmits = matches!(probe, Some(ProbeConfig::Http(_) | ProbeConfig::Grpc { .. }));
    PoolPolicy::default()
        .health(config.health_check.as_ref().map(health))
        .outlier(
            config
                .outlier_detection
                .as_ref()
                .map(|config| outlier(config).readmit_on_probe(readmits)),
        )
        .breaker(config.circuit_breaker.as_ref().map(breaker))
        .slow_start(config.slow_start.as_ref().map(slow_start))
        .max_in_flight(config.max_connections)
}

fn health(config: &HealthCheckConfig) -> HealthPolicy {
    HealthPolicy::default()
        .interval(config.interval)
        .unhealthy_interval(config.unhealthy_interval)
        .jitter_percent(config.jitter.into())
        .timeout(config.timeout)
        .healthy_after(config.healthy_after)
        .unhealthy_after(config.unhealthy_after)
}

fn outlier(config: &OutlierDetectionConfig) -> OutlierPolicy {
    let success_rate = config.success_rate.as_ref().map(|rate| {
        SuccessRatePolicy::default()
            .min_hosts(rate.min_backends.get())
            .min_requests(rate.min_requests.get())
            .stdev_factor(rate.deviations)
    });
    OutlierPolicy::default()
        .consecutive_errors(config.consecutive_errors.get())
        .consecutive_gateway_errors(
            config
                .consecutive_gateway_errors
                .map_or(0, |errors| errors.get()),
        )
        .success_rate(success_rate)
        .interval(config.interval)
        .eject_for(config.eject_for)
        .max_eject_for(config.max_eject_for)
        .max_ejected_percent(config.max_ejected_percent.into())
        .panic_below_percent(config.panic_below_percent.into())
}

fn breaker(config: &CircuitBreakerConfig) -> BreakerPolicy {
    let mut policy = BreakerPolicy::default()
        .failure_ratio(config.failure_ratio)
        .window(config.window)
        .open_for(config.open_for)
        .max_open_for(config.max_open_for)
        .half_open_requests(config.half_open_requests);
    policy.min_requests = config.min_requests.get();
    policy
}

fn slow_start(config: &SlowStartConfig) -> SlowStart {
    SlowStart::default()
        .window(config.window)
        .min_percent(config.min_percent.into())
        .aggression(config.aggression)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_core::Algorithm;

    #[test]
    fn the_defaults_are_those_of_the_machines() {
        let mut config = LoadBalancerConfig::new(Algorithm::RoundRobin);
        config.circuit_breaker = Some(CircuitBreakerConfig::default());
        config.slow_start = Some(SlowStartConfig::new(SlowStart::default().window));
        let expected = PoolPolicy::default()
            .health(HealthPolicy::default())
            .outlier(OutlierPolicy::default().readmit_on_probe(false))
            .breaker(BreakerPolicy::default())
            .slow_start(SlowStart::default());
        assert_eq!(policy(&config), expected);
    }
}
