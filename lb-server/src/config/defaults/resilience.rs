//! Defaults of what a pool does about backends that fail.

use std::num::NonZeroU32;
use std::time::Duration;

use http::Method;

use crate::config::model::{
    BackoffConfig, CircuitBreakerConfig, HealthCheckConfig, HttpProbeConfig,
    OutlierDetectionConfig, ProbeConfig, RetryConfig, RetryOn, SlowStartConfig, StatusRange,
    SuccessRateConfig,
};

const fn count(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).expect("not zero")
}

impl Default for HealthCheckConfig {
    /// A TCP connection every 10 s.
    fn default() -> Self {
        Self {
            probe: ProbeConfig::Tcp,
            interval: Duration::from_secs(10),
            unhealthy_interval: None,
            timeout: Duration::from_secs(2),
            unhealthy_after: const { count(3) },
            healthy_after: const { count(2) },
            jitter: 10,
        }
    }
}

impl HealthCheckConfig {
    /// From one probe to the next while the backend is unhealthy.
    pub(crate) fn interval_while_unhealthy(&self) -> Duration {
        self.unhealthy_interval.unwrap_or(self.interval / 5)
    }
}

impl Default for HttpProbeConfig {
    /// `GET /`, any status from 200 to 399.
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            method: Method::GET,
            host: None,
            headers: Vec::new(),
            expect_status: vec![StatusRange { from: 200, to: 399 }],
            expect_body: None,
        }
    }
}

impl Default for OutlierDetectionConfig {
    fn default() -> Self {
        Self {
            consecutive_errors: const { count(5) },
            consecutive_gateway_errors: None,
            success_rate: None,
            interval: Duration::from_secs(10),
            eject_for: Duration::from_secs(30),
            max_eject_for: Duration::from_secs(300),
            max_ejected_percent: 50,
            panic_below_percent: 50,
        }
    }
}

impl Default for SuccessRateConfig {
    fn default() -> Self {
        Self {
            min_requests: const { count(100) },
            min_backends: const { count(5) },
            deviations: 1.9,
        }
    }
}

impl Default for CircuitBreakerConfig {
    fn default() -> Self {
        Self {
            failure_ratio: 0.5,
            min_requests: const { count(20) },
            window: Duration::from_secs(10),
            open_for: Duration::from_secs(10),
            max_open_for: Duration::from_secs(120),
            half_open_requests: const { count(5) },
        }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: const { count(3) },
            on: RetryOn::default(),
            per_try_timeout: None,
            budget_percent: 20,
            budget_min_per_second: 10,
            backoff: BackoffConfig::default(),
            hedge: None,
        }
    }
}

impl RetryConfig {
    /// No retries; a kept connection that went stale is replaced all the same.
    #[must_use]
    pub fn off() -> Self {
        Self {
            attempts: const { count(1) },
            ..Self::default()
        }
    }
}

impl Default for RetryOn {
    fn default() -> Self {
        Self {
            connect_error: true,
            refused_stream: true,
            reset_before_headers: true,
            timeout: true,
            statuses: vec![503],
        }
    }
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(25),
            max: Duration::from_millis(250),
        }
    }
}

impl SlowStartConfig {
    /// An even ramp from a tenth.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self {
            window,
            min_percent: 10,
            aggression: 1.0,
        }
    }
}
