//! The whole screen, and the terminal as it was when it is given back.
//!
//! The sequences are those that every terminal of the last thirty years knows: the alternate screen
//! and the cursor's visibility (xterm), clearing and placing (ECMA-48).

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::panic;
use std::sync::Arc;
use std::thread;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc;

use super::keys::{Key, keys};
use crate::output;
use crate::paint::Line;

const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
const HOME: &str = "\u{1b}[H";
const CLEAR_LINE_END: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";
/// The size of a terminal that does not know its own.
const USUAL_SIZE: (usize, usize) = (24, 80);

/// A terminal that belongs to this program until it is dropped.
pub(super) struct Terminal {
    lease: Arc<Lease>,
    pressed: mpsc::Receiver<io::Result<Vec<Key>>>,
    colours: bool,
}

/// How the terminal was.
struct Lease {
    tty: File,
    before: Termios,
}

impl Terminal {
    /// Takes the terminal; `None` where standard output is none, or nobody could press a key.
    ///
    /// # Errors
    ///
    /// It is a terminal and does not obey.
    pub(super) fn open() -> io::Result<Option<Self>> {
        if !io::stdout().is_terminal() {
            return Ok(None);
        }
        // A descriptor of its own: what is set on standard input is set for the shell as well.
        let Ok(tty) = OpenOptions::new().read(true).write(true).open("/dev/tty") else {
            return Ok(None);
        };
        let lease = Arc::new(Lease {
            before: tcgetattr(&tty)?,
            tty: tty.try_clone()?,
        });
        let (sender, pressed) = mpsc::channel(16);
        let terminal = Self {
            lease: Arc::clone(&lease),
            pressed,
            colours: output::colours_of(true),
        };
        // A panic is reported before anything is dropped, and on the other screen nobody would see it.
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            lease.end();
            report(panic);
        }));
        terminal.enter()?;
        // Nothing wakes it when the terminal is given back: it ends with the process.
        thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || read_keys(tty, &sender))?;
        Ok(Some(terminal))
    }

    /// Takes the terminal again after somebody else had it.
    ///
    /// # Errors
    ///
    /// It does not obey.
    pub(super) fn enter(&self) -> io::Result<()> {
        let mut raw = self.lease.before.clone();
        raw.make_raw();
        tcsetattr(&self.lease.tty, OptionalActions::Now, &raw)?;
        write(ENTER)
    }

    /// Rows and columns.
    pub(super) fn size(&self) -> (usize, usize) {
        tcgetwinsize(&self.lease.tty)
            .ok()
            .map(|size| (size.ws_row.into(), size.ws_col.into()))
            .filter(|(rows, columns)| *rows > 0 && *columns > 0)
            .unwrap_or(USUAL_SIZE)
    }

    /// Shows these lines, which have to fit, and nothing else.
    ///
    /// # Errors
    ///
    /// The terminal has gone.
    pub(super) fn draw(&self, lines: &[Line]) -> io::Result<()> {
        let mut picture = String::from(HOME);
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                picture.push_str("\r\n");
            }
            picture.push_str(&line.render(self.colours));
            picture.push_str(CLEAR_LINE_END);
        }
        picture.push_str(CLEAR_BELOW);
        write(&picture)
    }

    /// Waits until something is pressed.
    ///
    /// # Errors
    ///
    /// The terminal has gone.
    pub(super) async fn keys(&mut self) -> io::Result<Vec<Key>> {
        let ended = || Err(io::ErrorKind::UnexpectedEof.into());
        self.pressed.recv().await.unwrap_or_else(ended)
    }
}

fn read_keys(mut tty: File, pressed: &mpsc::Sender<io::Result<Vec<Key>>>) {
    let mut buffer = [0; 256];
    loop {
        let read = match tty.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => Ok(keys(&buffer[..length])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_over = read.is_err();
        if pressed.blocking_send(read).is_err() || is_over {
            return;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.lease.end();
    }
}

impl Lease {
    /// Gives the terminal back as it was. Who has lost it cannot, and needs not.
    fn end(&self) {
        let _ = write(LEAVE);
        let _ = tcsetattr(&self.tty, OptionalActions::Flush, &self.before);
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
