//! How much a client may send on one stream ahead of whoever takes it.

/// What a stream's window grows to.
const GROWN: u32 = 256 * 1024;
/// Windows' worth that must have come before a stream's window grows: what is smaller gains nothing.
const WORTH: u64 = 4;

/// Lets a few busy streams of a connection run ahead further than many may.
///
/// A large window spares most `WINDOW_UPDATE`s and the waiting for them. What all streams may hold
/// together stays within the connection's window even if every one of them stalls and the
/// connection then opens as many as it may, so that none takes what its siblings need.
#[derive(Debug)]
pub(crate) struct StreamWindow {
    usual: u32,
    connection: u32,
    max_streams: u32,
    is_grown: bool,
    /// Bytes received when the present state began.
    since: u64,
}

impl StreamWindow {
    pub(crate) fn new(usual: u32, connection: u32, max_streams: u32) -> Self {
        Self {
            usual,
            connection,
            max_streams,
            is_grown: false,
            since: 0,
        }
    }

    /// The window to announce, where it should be another: `received` counts the bytes of the
    /// connection, `streams` are open on it.
    pub(crate) fn wanted(&mut self, received: u64, streams: usize) -> Option<u32> {
        let fits = self.fits(streams);
        if self.is_grown {
            return (!fits).then_some(self.usual);
        }
        if !fits || streams == 0 || self.usual >= GROWN {
            self.since = received;
            return None;
        }
        let worth = WORTH * u64::from(self.usual);
        (received.saturating_sub(self.since) >= worth).then_some(GROWN)
    }

    /// Notes that a window of this size was announced.
    pub(crate) fn announced(&mut self, window: u32, received: u64) {
        self.is_grown = window > self.usual;
        self.since = received;
    }

    fn fits(&self, streams: usize) -> bool {
        // The client may open as many again, and some, before it hears of the smaller window.
        let grown = 2 * streams as u64 + 2;
        let others = u64::from(self.max_streams).saturating_sub(grown);
        grown * u64::from(GROWN) + others * u64::from(self.usual) <= u64::from(self.connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;

    /// The defaults: three streams fit.
    fn window() -> StreamWindow {
        StreamWindow::new(64 * 1024, 8 * 1024 * 1024, 100)
    }

    #[test]
    fn grows_once_much_has_come_on_few_streams() {
        let mut window = window();
        assert_eq!(window.wanted(255 * KIB, 3), None);
        assert_eq!(window.wanted(256 * KIB, 3), Some(GROWN));
        window.announced(GROWN, 256 * KIB);
        assert_eq!(window.wanted(4096 * KIB, 3), None);
    }

    #[test]
    fn more_streams_share_what_the_connection_has() {
        let mut window = window();
        assert_eq!(window.wanted(4096 * KIB, 4), None);
        assert_eq!(
            window.wanted(4097 * KIB, 3),
            None,
            "it counts from the crowd's end"
        );
        window.announced(GROWN, 4097 * KIB);
        assert_eq!(window.wanted(4098 * KIB, 4), Some(64 * 1024));
    }

    #[test]
    fn small_exchanges_one_after_the_other_change_nothing() {
        let mut window = window();
        for request in 0..1000 {
            assert_eq!(window.wanted(request * KIB, 1), None);
            assert_eq!(window.wanted(request * KIB + 1, 0), None);
        }
    }

    #[test]
    fn a_window_that_was_set_larger_is_left_alone() {
        let mut window = StreamWindow::new(2 * GROWN, 1 << 30, 100);
        assert_eq!(window.wanted(u64::MAX, 1), None);
    }
}
