//! The bytes that exchanges may hold, of which there are only so many.
//!
//! What is counted is not each chunk but what an exchange can hold at most at a time: its windows and
//! buffers, or its whole body where that is smaller. So the limit holds whatever clients and backends
//! do, at the price of two atomic additions for an exchange.

use std::sync::atomic::{AtomicU64, Ordering};

/// Of an upload: the client's window, and what is kept for a retry.
pub(crate) const UPLOAD_MAX: u64 = (64 + 64) * 1024;
/// Of a download: the window towards the backend, and the client's send buffer.
pub(crate) const DOWNLOAD_MAX: u64 = (128 + 32) * 1024;

/// How much is held, and how much may be.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: AtomicU64,
    held: AtomicU64,
}

impl Memory {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit: AtomicU64::new(limit),
            held: AtomicU64::new(0),
        }
    }

    /// Changes how much may be held; what is held stays.
    pub(crate) fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Takes so many bytes, if there are.
    pub(crate) fn take(&self, bytes: u64) -> bool {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.limit();
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    /// Takes so many bytes, if no more than half is held then: for what is good to have.
    pub(crate) fn take_of_half(&self, bytes: u64) -> bool {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.limit() / 2;
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    pub(crate) fn is_half_full(&self) -> bool {
        self.held() > self.limit() / 2
    }

    /// Whether so much is held that nothing more should be kept for later.
    pub(crate) fn is_tight(&self) -> bool {
        self.held() >= self.limit() / 4 * 3
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether so little is left that the next body would not fit.
    pub(crate) fn is_full(&self) -> bool {
        self.held().saturating_add(UPLOAD_MAX.max(DOWNLOAD_MAX)) > self.limit()
    }

    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_holds_more_than_its_limit() {
        let memory = Memory::new(1000);
        assert!(memory.take(600));
        assert!(!memory.take(401));
        assert!(memory.take(400));
        assert_eq!(memory.held(), 1000);
        memory.give_back(600);
        assert!(!memory.take(u64::MAX));
        assert!(memory.take(1));
        memory.set_limit(300);
        assert!(!memory.take(1) && memory.is_tight());
    }
}
