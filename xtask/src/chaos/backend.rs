//! A backend that misbehaves on command: HTTP/1.1 written by hand, because no library would send
//! what some of the faults are.
//!
//! Each request it gets is written to a file before anything else happens: the file tells what was
//! received even after the process was killed.

mod http1;
mod http2;

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, mpsc};
use tokio::task::{LocalSet, spawn_local};

use crate::journal::Event;

/// Connections that wait to be accepted. Few, so that a backend that is stopped can be made to
/// refuse to answer even the first packet.
const BACKLOG: u32 = 64;

/// How long connections may go on after `drain` without a request.
const LINGER: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The name that its responses carry
    #[arg(long)]
    name: String,
    /// Port on loopback; 0 takes a free one
    #[arg(long)]
    port: u16,
    /// Where each request is noted
    #[arg(long)]
    journal: PathBuf,
    /// Speak HTTP/2 with prior knowledge instead of HTTP/1.1
    #[arg(long)]
    h2c: bool,
}

/// How requests are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Well,
    Late(Duration),
    Status(u16),
    /// Each second request has its connection or stream reset before the head.
    ResetSecond,
}

/// What all connections have in common.
#[derive(Debug)]
struct State {
    name: String,
    mode: Cell<Mode>,
    /// What the probe of a proxy is told.
    is_ready: Cell<bool>,
    is_draining: Cell<bool>,
    drain: Notify,
    requests: Cell<u64>,
    connections: Cell<u64>,
    journal: RefCell<File>,
}

impl State {
    fn note(&self, event: Event, id: &str) {
        let line = event.line(id);
        // A line that is lost would show as a request that never came.
        if let Err(error) = self.journal.borrow_mut().write_all(line.as_bytes()) {
            crate::say(&format!("cannot write the journal: {error}"));
        }
    }

    /// What becomes of the next request.
    fn next(&self) -> Mode {
        self.requests.set(self.requests.get() + 1);
        match self.mode.get() {
            Mode::ResetSecond if self.requests.get().is_multiple_of(2) => Mode::ResetSecond,
            Mode::ResetSecond => Mode::Well,
            mode => mode,
        }
    }

    /// Resolves once it is to end; at once if that was said already.
    async fn drained(&self) {
        while !self.is_draining.get() {
            self.drain.notified().await;
        }
    }

    fn obey(&self, line: &str) -> Result<()> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "well" => {
                self.mode.set(Mode::Well);
                self.is_ready.set(true);
            }
            "late" => {
                let wait_ms = rest.parse().context("`late` takes milliseconds")?;
                self.mode.set(Mode::Late(Duration::from_millis(wait_ms)));
            }
            "status" => self
                .mode
                .set(Mode::Status(rest.parse().context("no status")?)),
            "reset-second" => self.mode.set(Mode::ResetSecond),
            "unready" => self.is_ready.set(false),
            "drain" => {
                self.is_draining.set(true);
                self.drain.notify_waiters();
            }
            _ => anyhow::bail!("unknown command `{line}`"),
        }
        Ok(())
    }
}

/// Serves until `drain`, the end of standard input, or its death.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    LocalSet::new().block_on(&runtime, serve(arguments))
}

async fn serve(arguments: &Arguments) -> Result<()> {
    let journal = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&arguments.journal);
    let state = Rc::new(State {
        name: arguments.name.clone(),
        mode: Cell::new(Mode::Well),
        is_ready: Cell::new(true),
        is_draining: Cell::new(false),
        drain: Notify::new(),
        requests: Cell::new(0),
        connections: Cell::new(0),
        journal: RefCell::new(journal.context("cannot open the journal")?),
    });
    let socket = TcpSocket::new_v4().context("no socket")?;
    socket.set_reuseaddr(true).context("no socket option")?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    socket.bind(address).context("cannot bind")?;
    let listener = socket.listen(BACKLOG).context("cannot listen")?;
    let port = listener.local_addr().context("no address")?.port();
    let mut commands = commands();
    crate::print(&format!("listening {port}"))?;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => welcome(stream, &state, arguments.h2c),
                // A connection that was given up while it waited.
                Err(_) => continue,
            },
            command = commands.recv() => {
                // Whoever started it has gone.
                let Some(command) = command else { return Ok(()) };
                state.obey(&command)?;
                crate::print("obeyed")?;
            }
            () = state.drained() => break,
        }
    }
    leave(listener, &state, arguments.h2c).await;
    Ok(())
}

/// Accepts who has come already, then waits for the connections.
async fn leave(listener: TcpListener, state: &Rc<State>, h2c: bool) {
    let moment = Duration::from_millis(20);
    // A proxy that does not heed probes goes on connecting: there is an end to politeness.
    for _ in 0..BACKLOG {
        match tokio::time::timeout(moment, listener.accept()).await {
            Ok(Ok((stream, _))) => welcome(stream, state, h2c),
            _ => break,
        }
    }
    drop(listener);
    while state.connections.get() > 0 {
        tokio::time::sleep(moment).await;
    }
}

fn welcome(stream: tokio::net::TcpStream, state: &Rc<State>, h2c: bool) {
    let _ = stream.set_nodelay(true);
    let state = Rc::clone(state);
    state.connections.set(state.connections.get() + 1);
    spawn_local(async move {
        // What a peer does wrong is its own problem: it sees the connection end.
        let _ = if h2c {
            http2::serve(stream, &state).await
        } else {
            http1::serve(stream, &state).await
        };
        state.connections.set(state.connections.get() - 1);
    });
}

/// Lines of standard input, read by a thread that nothing waits for.
fn commands() -> mpsc::UnboundedReceiver<String> {
    let (sender, commands) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    commands
}
