//! `lb-cli top`: the same as `status`, live.

mod keys;
mod terminal;
mod view;

use std::future::Future;
use std::io;
use std::time::Duration;

use lb_server::admin::{Change, Status};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use self::terminal::Terminal;
use self::view::{After, View};
use crate::admin::{AdminError, Client, Event, Events};
use crate::args::TopArguments;
use crate::failure::{Exit, Failure};
use crate::figures::{count, latency, rate};
use crate::output;

/// A server says something each second; one that hangs does not.
const SILENCE: Duration = Duration::from_secs(5);
/// How long a server that has gone is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Shows what the server tells until the reader has seen enough.
pub(crate) fn run(arguments: &TopArguments) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.admin)?;
    client.block_on(async {
        // Before the screen is taken, so that what is wrong is said where it stays.
        let events = client.events().await?;
        let terminal = Terminal::open().map_err(|error| {
            let error = anyhow::Error::new(error).context("the terminal cannot be used");
            Failure::failed(error, "look at `lb-cli status`")
        })?;
        match terminal {
            Some(terminal) => on_terminal(&client, events, terminal).await,
            None => in_lines(&client, events).await,
        }
    })
}

/// What the server has to say, or that it has gone.
enum News {
    Status(Box<Status>),
    Change(Change),
    Lost(String),
}

/// Follows the events and comes back when the server does. Ends with its receiver.
async fn follow(client: &Client, mut events: Events, news: mpsc::Sender<News>) {
    loop {
        let ended = loop {
            let event = match tokio::time::timeout(SILENCE, events.next()).await {
                Ok(Some(event)) => event,
                Ok(None) => break "the server has ended the connection",
                Err(_silent) => break "the server says nothing any more",
            };
            if let Some(item) = understood(&event)
                && news.send(item).await.is_err()
            {
                return;
            }
        };
        let mut why = ended.to_owned();
        events = loop {
            if news.send(News::Lost(why)).await.is_err() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
            match client.events().await {
                Ok(events) => break events,
                Err(error) => why = error.to_string(),
            }
        };
    }
}

fn understood(event: &Event) -> Option<News> {
    let data = event.data.as_bytes();
    match event.name.as_str() {
        "status" => serde_json::from_slice(data).ok().map(News::Status),
        "change" => serde_json::from_slice(data).ok().map(News::Change),
        _ => None,
    }
}

async fn on_terminal(
    client: &Client,
    events: Events,
    mut terminal: Terminal,
) -> Result<Exit, Failure> {
    let mut signals = Signals::listen().map_err(unusable)?;
    let (sender, mut news) = mpsc::channel(16);
    let mut view = View::new(client.address().to_string());
    let showing = async {
        loop {
            let (rows, columns) = terminal.size();
            let lines = view.lines(rows, columns);
            terminal.draw(&lines)?;
            tokio::select! {
                item = news.recv() => match item {
                    Some(News::Status(status)) => view.status(*status),
                    Some(News::Change(change)) => view.change(change),
                    Some(News::Lost(why)) => view.lost(why),
                    None => return Ok(()),
                },
                keys = terminal.keys() => {
                    for key in keys? {
                        if view.press(key, rows) == After::End {
                            return Ok(());
                        }
                    }
                }
                signalled = signals.next() => match signalled {
                    Signalled::Resized => {}
                    Signalled::Continued => terminal.enter()?,
                    Signalled::Ended => return Ok(()),
                },
            }
        }
    };
    let shown: io::Result<()> = beside(showing, follow(client, events, sender)).await;
    drop(terminal);
    shown.map_err(unusable)?;
    Ok(Exit::Done)
}

fn unusable(error: io::Error) -> Failure {
    let error = anyhow::Error::new(error).context("the terminal cannot be used any more");
    Failure::failed(error, "look at `lb-cli status`")
}

/// One line a second, for whoever reads a pipe.
async fn in_lines(client: &Client, mut events: Events) -> Result<Exit, Failure> {
    while let Some(event) = events.next().await {
        let is_read = match understood(&event) {
            Some(News::Status(status)) => output::is_read(line(&status)),
            Some(News::Change(change)) => output::is_read(view::said(&change).escape_debug()),
            _ => true,
        };
        if !is_read {
            return Ok(Exit::Done);
        }
    }
    let gone = io::Error::from(io::ErrorKind::ConnectionReset);
    Err(AdminError::Unreachable(client.address().clone(), gone).into())
}

fn line(status: &Status) -> String {
    let backends = status
        .pools
        .iter()
        .map(|pool| pool.backends.len())
        .sum::<usize>();
    let usable = status.pools.iter().map(|pool| pool.eligible).sum::<u64>();
    let times = &status.totals.latency.last_1s;
    format!(
        "requests {} {}/s errors {}/s in flight {} p50 {} p99 {} backends {usable}/{backends}",
        status.totals.requests,
        rate(status.totals.rate_1s),
        rate(status.totals.error_rate_10s),
        count(status.totals.in_flight),
        latency(times.p50_ms),
        latency(times.p99_ms),
    )
}

/// Polls the second as long as the first is not done.
async fn beside<T>(first: impl Future<Output = T>, second: impl Future<Output = ()>) -> T {
    let second = async {
        second.await;
        std::future::pending().await
    };
    tokio::select! {
        done = first => done,
        done = second => done,
    }
}

/// What may happen to a program that has a terminal.
enum Signalled {
    Resized,
    Continued,
    Ended,
}

struct Signals {
    resized: Signal,
    continued: Signal,
    ended: [Signal; 4],
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let resumed = SignalKind::from_raw(rustix::process::Signal::CONT.as_raw());
        Ok(Self {
            resized: signal(SignalKind::window_change())?,
            continued: signal(resumed)?,
            ended: [
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
                signal(SignalKind::quit())?,
                signal(SignalKind::hangup())?,
            ],
        })
    }

    async fn next(&mut self) -> Signalled {
        let [terminate, interrupt, quit, hangup] = &mut self.ended;
        tokio::select! {
            _ = self.resized.recv() => Signalled::Resized,
            _ = self.continued.recv() => Signalled::Continued,
            _ = terminate.recv() => Signalled::Ended,
            _ = interrupt.recv() => Signalled::Ended,
            _ = quit.recv() => Signalled::Ended,
            _ = hangup.recv() => Signalled::Ended,
        }
    }
}
