//! The defaults of `[caches.x]`.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::config::model::{CacheConfig, CachePolicy, CacheQuery, StoreKind};

const MAX_VARIANTS: NonZeroU32 = NonZeroU32::new(16).expect("not zero");

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            max_size: 256 << 20,
            max_object: 4 << 20,
            max_variants: MAX_VARIANTS,
            policy: CachePolicy::S3Fifo,
            default_ttl: Duration::ZERO,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            stale_if_unreachable: Duration::from_secs(600),
            collapse_timeout: Duration::from_secs(5),
            store_set_cookie: false,
            obey_requests: true,
            query: CacheQuery::All,
            vary: Vec::new(),
            store: StoreKind::Memory,
        }
    }
}

impl CacheConfig {
    /// No cache.
    #[must_use]
    pub fn off() -> Self {
        Self {
            max_size: 0,
            ..Self::default()
        }
    }

    /// Whether it is [`CacheConfig::off`].
    pub(crate) fn is_off(&self) -> bool {
        self.max_size == 0
    }
}
