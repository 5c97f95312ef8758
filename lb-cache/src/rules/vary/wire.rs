//! The selecting fields as bytes.

use http::header::HeaderName;

use super::{MAX_FIELDS, MAX_VALUE_BYTES, Selecting, Vary};
use crate::wire::{Reader, write_count, write_text};

impl Vary {
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Option<()> {
        write_count(out, self.0.len())?;
        for Selecting { name, value } in &self.0 {
            write_text(out, name.as_str().as_bytes())?;
            out.push(value.is_some().into());
            write_text(out, value.as_deref().unwrap_or_default())?;
        }
        Some(())
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let count = reader.u16().map(usize::from)?;
        let mut selecting: Vec<Selecting> = Vec::with_capacity(count.min(MAX_FIELDS));
        let mut bytes = 0;
        for _field in 0..count {
            let name = HeaderName::from_bytes(reader.text()?).ok()?;
            let is_there = match reader.u8()? {
                0 => false,
                1 => true,
                _ => return None,
            };
            let value = reader.text()?;
            bytes += value.len();
            let is_in_order = selecting
                .last()
                .is_none_or(|last| last.name.as_str() < name.as_str());
            let is_written = is_in_order && (is_there || value.is_empty());
            if !is_written || bytes > MAX_VALUE_BYTES || selecting.len() == MAX_FIELDS {
                return None;
            }
            let value = is_there.then(|| value.into());
            selecting.push(Selecting { name, value });
        }
        Some(Self(selecting.into()))
    }
}
