//! Where lines go: a standard stream or a file, and what is done when it takes no more.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use crate::config::AccessLogOutput;
use crate::spool::Drain;

/// How long to wait where a stream that somebody else made non-blocking is full.
const RETRY: Duration = Duration::from_millis(10);

/// An open destination.
#[derive(Debug)]
pub(crate) struct Output {
    destination: AccessLogOutput,
    file: File,
    /// Whether the last write failed, which is said once.
    is_failing: bool,
    /// Whether the last thing written is the beginning of a line.
    is_torn: bool,
}

impl Output {
    /// Opens a destination; a file is made where there is none, readable for its owner and group.
    pub(crate) fn open(destination: AccessLogOutput) -> io::Result<Self> {
        let file = open(&destination)?;
        Ok(Self::on(destination, file))
    }

    /// Writes to what is open already.
    pub(crate) fn on(destination: AccessLogOutput, file: File) -> Self {
        Self {
            destination,
            file,
            is_failing: false,
            is_torn: false,
        }
    }

    /// Ends a line that is there in part, so that the next one is whole.
    fn mend(&mut self) -> io::Result<()> {
        if self.is_torn {
            self.write_all(&mut &b"\n"[..])?;
        }
        Ok(())
    }

    /// As the standard library's, but it tells what is left and waits where the stream is full.
    fn write_all(&mut self, rest: &mut &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.is_torn = rest[written - 1] != b'\n';
                    *rest = &rest[written..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(RETRY),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drain for Output {
    /// Opens a file anew, after it was renamed; on failure the old one goes on.
    fn reopen(&mut self) {
        let AccessLogOutput::File(path) = &self.destination else {
            return;
        };
        match open(&self.destination) {
            Ok(file) => {
                self.file = file;
                self.is_torn = false;
                tracing::info!(path = %path.display(), "access log reopened");
            }
            Err(error) => tracing::error!(
                %error,
                path = %path.display(),
                "the access log cannot be reopened; the old file goes on"
            ),
        }
    }

    fn take(&mut self, lines: &[u8]) -> u64 {
        let mut rest = lines;
        let result = self.mend().and_then(|()| self.write_all(&mut rest));
        match result {
            Ok(()) if self.is_failing => {
                self.is_failing = false;
                tracing::info!("the access log is written again");
            }
            Ok(()) => {}
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!(%error, "the access log cannot be written; lines are lost");
                }
            }
        }
        rest.iter().filter(|byte| **byte == b'\n').count() as u64
    }
}

fn open(destination: &AccessLogOutput) -> io::Result<File> {
    // The descriptor, not the standard library's stream: that one would write each line apart.
    match destination {
        AccessLogOutput::Off => Err(ErrorKind::InvalidInput.into()),
        AccessLogOutput::Stdout => duplicate(&io::stdout()),
        AccessLogOutput::Stderr => duplicate(&io::stderr()),
        AccessLogOutput::File(path) => OpenOptions::new()
            // Nobody may read a named pipe yet, and that is no reason to wait for somebody.
            .read(is_pipe(path))
            .append(true)
            .create(true)
            .mode(0o640)
            .open(path),
    }
}

fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

fn duplicate(stream: &impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn ends_a_line_that_was_begun_before_the_next_one() {
        let (mut reader, writer) = io::pipe().unwrap();
        let file = File::from(OwnedFd::from(writer));
        let mut output = Output::on(AccessLogOutput::Stdout, file);
        assert_eq!(output.take(b"begun"), 0);
        assert_eq!(output.take(b"whole\n"), 0);
        assert_eq!(output.take(b"next\n"), 0);
        drop(output);
        let mut all = String::new();
        reader.read_to_string(&mut all).unwrap();
        assert_eq!(all, "begun\nwhole\nnext\n");
    }
}
