//! The chunked transfer coding, read (RFC 9112 §7.1).

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;

use super::head::{self, Lines};
use super::{Http1Error, ResponseLimits};

/// Extensions mean nothing to us; a body may not consist of them.
const EXTENSION_BYTES: usize = 16 * 1024;

/// Where in the coding the next byte stands. The data itself is what one chunk has left.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    extension_bytes: usize,
    lines: Lines,
}

#[derive(Debug)]
enum State {
    Size { size: u64, digits: usize },
    Extension { size: u64 },
    SizeLineFeed { size: u64 },
    Data { left: u64 },
    DataReturn,
    DataLineFeed,
    Trailers,
}

#[derive(Debug)]
pub(super) enum Step {
    Data(Bytes),
    End(Option<HeaderMap>),
    /// Nothing more can be told from the bytes at hand.
    NeedsMore,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self {
            state: State::Size { size: 0, digits: 0 },
            extension_bytes: 0,
            lines: Lines::default(),
        }
    }

    /// Takes the next piece of data, or the end, off the buffer.
    pub(super) fn step(
        &mut self,
        buffer: &mut BytesMut,
        limits: &ResponseLimits,
    ) -> Result<Step, Http1Error> {
        if let Some(trailers) = self.skip_to_data(buffer, limits)? {
            return Ok(Step::End(trailers));
        }
        match &mut self.state {
            State::Data { left } if !buffer.is_empty() => {
                let taken = buffer
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                if *left == 0 {
                    self.state = State::DataReturn;
                }
                Ok(Step::Data(buffer.split_to(taken).freeze()))
            }
            _ => Ok(Step::NeedsMore),
        }
    }

    /// Takes what lies between two pieces of data off the buffer; the trailers, or that there are
    /// none, if the end was among it.
    pub(super) fn skip_to_data(
        &mut self,
        buffer: &mut BytesMut,
        limits: &ResponseLimits,
    ) -> Result<Option<Option<HeaderMap>>, Http1Error> {
        loop {
            match self.state {
                State::Data { .. } => return Ok(None),
                State::Trailers => return self.trailers(buffer, limits),
                _ if buffer.is_empty() => return Ok(None),
                _ => self.state = self.after(buffer.get_u8())?,
            }
        }
    }

    fn after(&mut self, byte: u8) -> Result<State, Http1Error> {
        match (&self.state, byte) {
            (&State::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                // Leading zeros would make a number of any length valid.
                if digits == 16 {
                    return Err(Http1Error::BadResponse("the size of a chunk is too large"));
                }
                Ok(State::Size {
                    size: size << 4 | hex_value(byte),
                    digits: digits + 1,
                })
            }
            (&State::Size { size, digits: 1.. }, b'\r') | (&State::Extension { size }, b'\r') => {
                Ok(State::SizeLineFeed { size })
            }
            (&State::Size { size, digits: 1.. }, b';') => self.extension(size),
            (&State::Extension { size }, _) if byte == b'\t' || !byte.is_ascii_control() => {
                self.extension(size)
            }
            (State::SizeLineFeed { size: 0 }, b'\n') => Ok(State::Trailers),
            (&State::SizeLineFeed { size }, b'\n') => Ok(State::Data { left: size }),
            (State::DataReturn, b'\r') => Ok(State::DataLineFeed),
            (State::DataLineFeed, b'\n') => Ok(State::Size { size: 0, digits: 0 }),
            _ => Err(Http1Error::BadResponse("the chunked coding is malformed")),
        }
    }

    fn extension(&mut self, size: u64) -> Result<State, Http1Error> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES {
            return Err(Http1Error::BadResponse(
                "the chunk extensions are too large",
            ));
        }
        Ok(State::Extension { size })
    }

    fn trailers(
        &mut self,
        buffer: &mut BytesMut,
        limits: &ResponseLimits,
    ) -> Result<Option<Option<HeaderMap>>, Http1Error> {
        let Some(bytes) = self.lines.split(buffer, limits.head_bytes, limits.fields)? else {
            return Ok(None);
        };
        if bytes.len() == b"\r\n".len() {
            return Ok(Some(None));
        }
        head::parse_trailers(&bytes, limits).map(|trailers| Some(Some(trailers)))
    }
}

fn hex_value(digit: u8) -> u64 {
    match digit {
        b'0'..=b'9' => u64::from(digit - b'0'),
        _ => u64::from((digit | 0x20) - b'a') + 10,
    }
}
