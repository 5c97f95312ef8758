//! systemd, and whatever speaks its protocols.

use std::env;
use std::time::Duration;

use lb_server::InheritedSocket;
use listenfd::ListenFd;
use sd_notify::NotifyState;

/// The sockets that were opened for this process.
pub(crate) fn inherited() -> Vec<InheritedSocket> {
    let mut passed = ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..passed.len() {
        match socket(&mut passed, index) {
            Ok(Some(socket)) => sockets.push(socket),
            Ok(None) => {}
            Err(error) => {
                // Descriptors are passed from 3 on.
                tracing::warn!(
                    descriptor = index + 3,
                    %error,
                    "what was inherited is no socket that clients could connect to"
                );
            }
        }
    }
    sockets
}

fn socket(passed: &mut ListenFd, index: usize) -> std::io::Result<Option<InheritedSocket>> {
    if let Ok(tcp) = passed.take_tcp_listener(index) {
        return tcp.map(InheritedSocket::tcp).transpose();
    }
    let unix = passed.take_unix_listener(index)?;
    unix.map(InheritedSocket::unix).transpose()
}

/// Whether there is somebody to tell.
pub(super) fn is_there() -> bool {
    env::var_os("NOTIFY_SOCKET").is_some()
}

/// Tells the manager, if there is one.
pub(super) fn tell(state: &str) {
    send(&[NotifyState::Custom(state)]);
}

/// Tells that a reload has begun, and when: so a reload that was asked for is told from one before.
pub(super) fn tell_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the system does not tell the time"),
    }
}

/// The time after which the manager gives up a process that it does not hear of.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|deadline| !deadline.is_zero())
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
