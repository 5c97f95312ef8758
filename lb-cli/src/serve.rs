//! `lb-cli serve`: from arguments to a running server, and from signals to its end.

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::io;

use anyhow::Context as _;
use lb_server::{Config, Error, ErrorKind, Handle, LoadedConfig, Running, Server};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::ServeArguments;
use crate::check;
use crate::demo;
use crate::failure::{Exit, Failure};
use crate::layers::Layers;
use crate::locate::locate;
use crate::logging::{self, Log};
use crate::output;
use crate::reload::{Files, Reloads};
use crate::service;

/// Serves until a signal, or only checks with `--check`.
pub(crate) fn run(arguments: &ServeArguments) -> Result<Exit, Failure> {
    let log = logging::start(&arguments.verbosity);
    let layers = Layers::of_environment(locate(arguments.config.as_deref()));
    let nothing_is_configured = layers.is_empty() && !arguments.describes_a_server();
    if nothing_is_configured && !arguments.check {
        return block_on(demo::serve(arguments, log));
    }
    let layers = layers.with_flags(arguments);
    if arguments.check {
        return check::whole(&layers);
    }
    let LoadedConfig {
        config, warnings, ..
    } = layers.load()?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = layers
            .path()
            .map_or_else(|| "flags".to_owned(), |path| path.display().to_string()),
        overridden = layers.has_overrides(),
        "starting"
    );
    for (name, pool) in &config.pools {
        let backends: Vec<_> = pool.backends.iter().map(|b| b.url.to_string()).collect();
        tracing::info!(pool = name, backends = backends.join(" "), "pool");
    }
    for warning in warnings {
        output::warning(warning);
    }
    let files = Files::of(layers.path(), &config);
    block_on(async {
        let mut signals = Signals::listen()?;
        let reloads = Reloads::listen(arguments.watch.then_some(files))?;
        let running = start(config, layers, log).await?;
        announce(&running);
        let handle = running.handle();
        tokio::select! {
            ended = until_signalled(running, &mut signals) => ended,
            never = reloads.follow(handle) => match never {},
        }
    })
}

/// Runs the future on this thread; the workers of the servers have threads of their own.
pub(crate) fn block_on<F>(future: F) -> Result<Exit, Failure>
where
    F: Future<Output = Result<Exit, Failure>>,
{
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .map_err(|error| Failure::failed(error, "raise the limits of the process (`ulimit -a`)"))?
        .block_on(future)
}

/// Starts a server that reads the same layers again when it is reloaded.
async fn start(config: Config, layers: Layers, log: Log) -> Result<Running, Failure> {
    let mut server = Server::from_config(config).map_err(start_failure)?;
    for socket in service::inherited() {
        server.inherit(socket);
    }
    server.set_log_control(log);
    if let Some(path) = layers.path() {
        server.set_config_path(path.display().to_string());
    }
    server.set_config_source(move || layers.load().map_err(|failure| failure.into_error().into()));
    server.start().await.map_err(start_failure)
}

/// Prints a line for each address, for programs that wait for it as much as for people.
pub(crate) fn announce(running: &Running) {
    for local in running.local_addrs() {
        output::line(format_args!(
            "listening name={} url={local}",
            local.listener
        ));
    }
    if let Some(admin) = running.admin_addr() {
        output::line(format_args!("admin url={admin}"));
    }
}

/// What to do about a server that does not start.
pub(crate) fn start_failure(error: Error) -> Failure {
    let cause = io_kind(&error);
    match (error.kind(), cause) {
        (ErrorKind::Config, _) => Failure::invalid(error, "run `lb-cli check`"),
        (ErrorKind::Tls, _) => Failure::invalid(
            error,
            "correct the paths of certificate and key, or make a pair with `lb-cli gen-cert`",
        ),
        (ErrorKind::Listen, Some(io::ErrorKind::AddrInUse)) => Failure::failed(
            error,
            "another process listens there (`ss -ltnp` names it); stop it, or take a free port \
             with `--listen 127.0.0.1:0`",
        ),
        (ErrorKind::Listen, Some(io::ErrorKind::PermissionDenied)) => Failure::failed(
            error,
            "ports below 1024 need CAP_NET_BIND_SERVICE; take a higher one with `--listen`",
        ),
        (ErrorKind::Listen, _) => Failure::failed(
            error,
            "listen on an address of this machine: `--listen 127.0.0.1:0`",
        ),
        _ => Failure::failed(error, "run again with -v to see what it was doing"),
    }
}

fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}

/// The signals that end a server, and the one that has it open its files anew.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    reopen: Signal,
}

impl Signals {
    /// Takes the signals over from their default, which is to die at once.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self {
            terminate: take(SignalKind::terminate())?,
            interrupt: take(SignalKind::interrupt())?,
            quit: take(SignalKind::quit())?,
            reopen: take(SignalKind::user_defined1())?,
        })
    }

    /// Waits for one that ends the server; after logrotate has renamed files, SIGUSR1 has them made anew.
    async fn next(&mut self, handle: &Handle) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.quit.recv() => return "SIGQUIT",
                _ = self.reopen.recv() => handle.reopen_logs(),
            }
        }
    }
}

fn take(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind)
        .context("cannot take over signals")
        .map_err(|error| Failure::failed(error, "run it under another service manager"))
}

/// Tells the service manager that the server is ready, waits for the first signal, drains, and forces the end at the
/// second.
///
/// # Errors
///
/// Exchanges were cut off, by the second signal or by the deadline.
pub(crate) async fn until_signalled(
    running: Running,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let handle = running.handle();
    let forced = Cell::new(false);
    service::ready(&handle);
    let ended = tokio::select! {
        result = running.wait() => result,
        never = service::follow(handle.clone()) => match never {},
        never = end_by_signals(handle, signals, &forced) => match never {},
    };
    match ended {
        // The exchanges that were cut off may have gone before the server noticed why.
        Ok(()) if forced.get() => Err(Failure::forced(
            anyhow::anyhow!("the shutdown was forced by a second signal"),
            "send one signal only to let running exchanges finish",
        )),
        Ok(()) => {
            tracing::info!("stopped, every exchange finished");
            Ok(Exit::Done)
        }
        Err(error) if error.kind() == ErrorKind::ShutdownTimeout => Err(Failure::forced(
            error,
            "a longer `shutdown_timeout` under [server] lets slow exchanges finish",
        )),
        Err(error) => Err(Failure::failed(error, "run again with -v")),
    }
}

async fn end_by_signals(handle: Handle, signals: &mut Signals, forced: &Cell<bool>) -> Infallible {
    let signal = signals.next(&handle).await;
    tracing::info!(signal, "draining; a second signal forces the end");
    handle.shutdown();
    loop {
        let signal = signals.next(&handle).await;
        tracing::warn!(signal, "forcing the end");
        forced.set(true);
        handle.force();
    }
}
