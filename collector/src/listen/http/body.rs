//! Bodies of pushes: unpacked under their bounds, and cut into records.
//!
//! In: a body as sent and its `Content-Encoding`. Out: its bytes, or the records of NDJSON or of one JSON array.
//! Bounds: bytes after unpacking (a bomb is cut off while it is unpacked), bytes of a record, records of a
//! request. Failure: a [`Refused`]. Source: RFC 9110 section 8.4.

use std::io::Read;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use nhatle_event::{Record, Text};

use super::{Arrived, PushLimits, Refused};
use crate::frame::trim_frame;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// The encoding a request names.
pub(super) fn encoding(headers: &HeaderMap) -> Result<Encoding, Refused> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(Encoding::Identity) };
    match value.to_str().unwrap_or_default().trim() {
        "" | "identity" => Ok(Encoding::Identity),
        "gzip" | "x-gzip" => Ok(Encoding::Gzip),
        "zstd" => Ok(Encoding::Zstd),
        other => {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            Err(Refused::new(status, "encoding", "content encodings are gzip and zstd")
                .detail(other.chars().take(32).collect::<String>()))
        }
    }
}

/// The bytes of a body, unpacked.
pub(super) fn unpack(body: Bytes, encoding: Encoding, limits: &PushLimits) -> Result<Bytes, Refused> {
    match encoding {
        Encoding::Identity => Ok(body),
        Encoding::Gzip => read_bounded(flate2::read::MultiGzDecoder::new(body.as_ref()), limits),
        Encoding::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(body.as_ref());
            read_bounded(decoder.map_err(|error| broken_encoding(&error))?, limits)
        }
    }
}

fn broken_encoding(error: &std::io::Error) -> Refused {
    let message = "the body is not in its content encoding";
    Refused::new(StatusCode::BAD_REQUEST, "broken_encoding", message).detail(error.to_string())
}

fn read_bounded(reader: impl Read, limits: &PushLimits) -> Result<Bytes, Refused> {
    let limit = limits.unpacked_bytes_max;
    let mut unpacked = Vec::new();
    let with_one_more = u64::try_from(limit).unwrap_or(u64::MAX - 1).saturating_add(1);
    reader.take(with_one_more).read_to_end(&mut unpacked).map_err(|error| broken_encoding(&error))?;
    if limit < unpacked.len() {
        return Err(Refused::too_large(format!("at most {limit} bytes unpacked")));
    }
    Ok(unpacked.into())
}

/// The records of a body: a JSON array's elements, else its lines.
pub(super) fn records_of(arrived: &Arrived<'_>) -> Result<Vec<Record>, Refused> {
    let Arrived { body, limits, .. } = *arrived;
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    let mut records = Vec::new();
    let mut keep = |bytes: &[u8], is_element: bool| -> Result<(), Refused> {
        let bytes = trim_frame(bytes).trim_ascii();
        if bytes.is_empty() {
            return Ok(());
        }
        room_for_one_more(&records, limits)?;
        let mut record = arrived.record(bytes);
        if is_element && !bytes.starts_with(b"{") {
            // An element that is no object can only be a dead letter.
            record.profile = Some(Text::const_new("json"));
        }
        records.push(record);
        Ok(())
    };
    match body {
        [b'[', rest @ ..] if matches!(rest.trim_ascii_start().first(), Some(b'{' | b']')) => {
            for element in crate::parse::json::elements(body) {
                keep(element, true)?;
            }
        }
        _ => {
            for line in body.split(|byte| *byte == b'\n') {
                keep(line, false)?;
            }
        }
    }
    Ok(records)
}

/// Refuses a request that would hold more records than allowed.
pub(super) fn room_for_one_more(records: &[Record], limits: &PushLimits) -> Result<(), Refused> {
    if limits.records_max <= records.len() {
        return Err(Refused::too_large(format!("at most {} records", limits.records_max)));
    }
    Ok(())
}

impl Arrived<'_> {
    /// A record of these bytes, cut at the bound.
    pub(super) fn record(&self, bytes: &[u8]) -> Record {
        let kept = bytes.get(..self.limits.record_bytes_max).unwrap_or(bytes);
        self.origin.record(kept, self.received, kept.len() < bytes.len())
    }

    /// The same, read with a profile.
    pub(super) fn record_of(&self, bytes: &[u8], profile: &'static str) -> Record {
        let mut record = self.record(bytes);
        record.profile = Some(Text::const_new(profile));
        record
    }
}
