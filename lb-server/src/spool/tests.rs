use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use super::*;
use crate::access_log::Output;
use crate::config::AccessLogOutput;

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of the test's own, removed with it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lb-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("access.log")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn to(path: &Path) -> Output {
    Output::open(AccessLogOutput::File(path.to_owned())).unwrap()
}

/// A destination whose other end is in the test's hands.
fn pipe() -> (Output, impl Read) {
    let (reader, writer) = io::pipe().unwrap();
    let file = File::from(OwnedFd::from(writer));
    (Output::on(AccessLogOutput::Stdout, file), reader)
}

fn start(output: Output, workers: usize, capacity: usize) -> io::Result<Spool> {
    Spool::start("test", output, workers, capacity, Duration::from_millis(10))
}

fn line(writer: &Spool, text: impl std::fmt::Display) {
    writer.append(|out| writeln!(out, "{text}").unwrap());
}

#[test]
fn writes_what_is_there_without_being_asked() {
    let (output, reader) = pipe();
    let writer = start(output, 2, 1024).unwrap();
    let mut lines = BufReader::new(reader).lines();
    for number in 0..3 {
        line(&writer, number);
        assert_eq!(lines.next().unwrap().unwrap(), number.to_string());
    }
    assert_eq!(writer.dropped(), 0);
}

#[test]
fn loses_and_tears_no_line_while_files_are_rotated_under_load() {
    const THREADS: usize = 4;
    const LINES: usize = 20_000;
    let directory = Directory::new("rotated");
    let path = directory.file();
    let writer = start(to(&path), THREADS, 1 << 30).unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let writer = &writer;
            scope.spawn(move || {
                for number in 0..LINES {
                    line(writer, format_args!("{thread}-{number}-end"));
                }
            });
        }
        for round in 0..20 {
            // As logrotate: rename, tell, and what was renamed is done once the new file is there.
            let renamed = directory.0.join(format!("access.log.{round}"));
            fs::rename(&path, renamed).unwrap();
            writer.reopen();
            let deadline = Instant::now() + PATIENCE;
            while !path.exists() {
                assert!(Instant::now() < deadline, "round {round}: no new file");
                thread::yield_now();
            }
        }
    });
    writer.close(PATIENCE);
    let mut seen = std::collections::HashSet::new();
    for entry in fs::read_dir(&directory.0).unwrap() {
        for line in fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            assert!(line.ends_with("-end"), "{line}");
            assert!(seen.insert(line.to_owned()), "{line} is there twice");
        }
    }
    assert_eq!(seen.len(), THREADS * LINES);
    assert_eq!(writer.dropped(), 0);
}

#[test]
fn nothing_goes_to_a_renamed_file_once_the_new_one_is_there() {
    let directory = Directory::new("renamed");
    let (path, renamed) = (directory.file(), directory.0.join("old"));
    let writer = start(to(&path), 1, 1024).unwrap();
    fs::rename(&path, &renamed).unwrap();
    writer.reopen();
    line(&writer, "new");
    writer.close(PATIENCE);
    assert_eq!(fs::read_to_string(renamed).unwrap(), "");
    assert_eq!(fs::read_to_string(path).unwrap(), "new\n");
}

#[test]
fn the_old_file_goes_on_where_the_new_one_cannot_be_made() {
    let directory = Directory::new("gone");
    let (path, moved) = (directory.file(), Directory::new("moved"));
    let writer = start(to(&path), 1, 1024).unwrap();
    fs::remove_dir(&moved.0).unwrap();
    fs::rename(&directory.0, &moved.0).unwrap();
    writer.reopen();
    line(&writer, "still here");
    writer.close(PATIENCE);
    assert_eq!(fs::read_to_string(moved.file()).unwrap(), "still here\n");
}

#[test]
fn drops_and_counts_lines_while_nobody_reads_and_goes_on_afterwards() {
    const CAPACITY: usize = 64 << 10;
    let (output, mut reader) = pipe();
    let writer = start(output, 1, CAPACITY).unwrap();
    let text = "x".repeat(999);
    let mut asked = 0;
    // The pipe, the buffer and the one being written are bounded, so this ends.
    while writer.dropped() < 100 {
        line(&writer, &text);
        asked += 1;
        assert!(writer.state.buffers[0].lock().len() <= CAPACITY);
    }
    let count = thread::spawn(move || {
        let mut all = String::new();
        reader.read_to_string(&mut all).unwrap();
        assert!(all.lines().all(|line| line.len() == 999));
        all.lines().count() as u64
    });
    writer.close(PATIENCE);
    let dropped = writer.dropped();
    drop(writer);
    assert_eq!(count.join().unwrap() + dropped, asked);
}

#[test]
fn a_destination_that_takes_nothing_does_not_keep_the_process_from_ending() {
    let (output, reader) = pipe();
    let writer = start(output, 1, 1 << 20).unwrap();
    for _ in 0..200 {
        line(&writer, "x".repeat(999));
    }
    writer.close(Duration::from_millis(1));
    drop(reader);
}

#[test]
fn counts_what_a_full_disk_or_a_reader_that_left_did_not_take() {
    let (left, reader) = pipe();
    drop(reader);
    for output in [to(Path::new("/dev/full")), left] {
        let writer = start(output, 1, 1024).unwrap();
        for number in 0..10 {
            line(&writer, number);
        }
        writer.close(PATIENCE);
        assert_eq!(writer.dropped(), 10);
    }
}

#[test]
fn a_line_beyond_the_buffer_is_dropped_alone() {
    let (output, mut reader) = pipe();
    let writer = start(output, 1, 100).unwrap();
    line(&writer, "x".repeat(200));
    line(&writer, "short");
    writer.close(PATIENCE);
    assert_eq!(writer.dropped(), 1);
    drop(writer);
    let mut all = String::new();
    reader.read_to_string(&mut all).unwrap();
    assert_eq!(all, "short\n");
}
