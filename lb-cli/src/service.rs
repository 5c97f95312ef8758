//! What a service manager is told (sd_notify(3)), and the sockets that it passes on (sd_listen_fds(3)).

#[cfg(feature = "systemd")]
mod systemd;

#[cfg(not(feature = "systemd"))]
use self::nobody as manager;
#[cfg(feature = "systemd")]
use self::systemd as manager;

use std::convert::Infallible;
use std::time::Duration;

use lb_server::Handle;
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use manager::inherited;

/// How often the line of `systemctl status` is brought up to date.
const REPORT: Duration = Duration::from_secs(10);

/// Tells that the addresses are bound and requests are served.
pub(crate) fn ready(handle: &Handle) {
    manager::tell(&format!("READY=1\nSTATUS={}", report(handle)));
}

/// Tells that the configuration is being read again; [`ready`] ends that, however it went.
pub(crate) fn reloading() {
    manager::tell_reloading();
}

/// Tells how the server is, that it stops, and feeds the watchdog as long as every worker gets its work done.
pub(crate) async fn follow(handle: Handle) -> Infallible {
    tokio::join!(stopping(&handle), watchdog(&handle), reports(&handle));
    std::future::pending().await
}

async fn stopping(handle: &Handle) {
    handle.shutdown_requested().await;
    manager::tell("STOPPING=1\nSTATUS=Finishing what was begun");
}

async fn watchdog(handle: &Handle) {
    let Some(deadline) = manager::watchdog() else {
        return;
    };
    // As sd_watchdog_enabled(3) advises.
    let pause = deadline / 2;
    let mut clock = interval(pause);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        if handle.responds(pause).await {
            manager::tell("WATCHDOG=1");
        } else {
            tracing::error!("a worker does not respond; the service manager is not told otherwise");
        }
    }
}

async fn reports(handle: &Handle) {
    if !manager::is_there() {
        return;
    }
    let mut clock = interval(REPORT);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = report(handle);
    loop {
        clock.tick().await;
        let now = report(handle);
        if now != said && !handle.is_draining() {
            manager::tell(&format!("STATUS={now}"));
            said = now;
        }
    }
}

fn report(handle: &Handle) -> String {
    let pools = handle.pools();
    let all: usize = pools.iter().map(|pool| pool.backends.len()).sum();
    let usable: u64 = pools.iter().map(|pool| pool.eligible).sum();
    format!("Serving, {usable} of {all} backends usable")
}

/// Without the feature there is no manager.
#[cfg(not(feature = "systemd"))]
mod nobody {
    use std::time::Duration;

    use lb_server::InheritedSocket;

    pub(crate) fn inherited() -> Vec<InheritedSocket> {
        Vec::new()
    }

    pub(super) fn tell(_state: &str) {}

    pub(super) fn tell_reloading() {}

    pub(super) fn watchdog() -> Option<Duration> {
        None
    }

    pub(super) fn is_there() -> bool {
        false
    }
}
