//! The journal's export format, cut into entries as its bytes come.
//!
//! In: pieces of `journalctl --output=export`. Out: [`Entry`]s, and each as an RFC 5424 line. Promise: any split of the
//! same bytes gives the same entries; memory is bounded by the bytes of a record for each field that is kept; what is no
//! export gives no entries and no panic. Failure: none; a field that is too long is cut, and the entry is marked.
//! Source: systemd, "Journal Export Formats": lines `NAME=value`, or `NAME`, a length of 8 bytes (little-endian), that
//! many bytes and a line end; an empty line ends an entry.

use nhatle_event::Timestamp;

/// How long a field's name may be; a longer one is none.
const NAME_BYTES_MAX: usize = 256;
/// How many bytes of the fields beside the message are kept.
const FIELD_BYTES_MAX: usize = 4096;
/// The example number of RFC 5612, for a structured data element that is ours alone.
const ELEMENT: &str = "journald@32473";

/// Fields that are kept, in the order of [`Entry::fields`].
const NAMES: [&str; 13] = [
    "MESSAGE",
    "__CURSOR",
    "__REALTIME_TIMESTAMP",
    "_HOSTNAME",
    "SYSLOG_IDENTIFIER",
    "_COMM",
    "_PID",
    "PRIORITY",
    "SYSLOG_FACILITY",
    "_TRANSPORT",
    "_SYSTEMD_UNIT",
    "_UID",
    "_EXE",
];

/// One entry of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Values of the fields that are kept.
    fields: [Option<Vec<u8>>; NAMES.len()],
    /// Its cursor.
    pub cursor: Option<String>,
    /// A field was cut.
    pub is_cut: bool,
}

impl Entry {
    fn text(&self, name: &str) -> Option<String> {
        let at = NAMES.iter().position(|known| *known == name)?;
        self.fields[at]
            .as_deref()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .filter(|text| !text.is_empty())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// The entry as an RFC 5424 line; `now` is its time where it has none.
    pub fn line(&self, now: Timestamp) -> Vec<u8> {
        let transport = self.text("_TRANSPORT").unwrap_or_default();
        let severity = self.number("PRIORITY").filter(|severity| *severity < 8).unwrap_or(6);
        let default_facility = if transport == "kernel" { 0 } else { 3 };
        let facility = self.number("SYSLOG_FACILITY").filter(|facility| *facility < 24).unwrap_or(default_facility);
        let micros = self.number("__REALTIME_TIMESTAMP").and_then(|micros| i64::try_from(micros).ok());
        let time = micros.and_then(|micros| micros.checked_mul(1000)).map_or(now, Timestamp);
        let program = self.text("SYSLOG_IDENTIFIER").or_else(|| self.text("_COMM"));
        let mut line = format!(
            "<{}>1 {time} {} {} {} - ",
            facility * 8 + severity,
            word(self.text("_HOSTNAME")),
            word(program.or_else(|| (transport == "kernel").then(|| "kernel".to_owned()))),
            word(self.text("_PID")),
        );
        let told = [("unit", "_SYSTEMD_UNIT"), ("uid", "_UID"), ("exe", "_EXE"), ("transport", "_TRANSPORT")];
        let told: Vec<_> = told.iter().filter_map(|(name, field)| Some((name, self.text(field)?))).collect();
        if told.is_empty() {
            line.push('-');
        } else {
            line.push_str(&format!("[{ELEMENT}"));
            for (name, value) in told {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
                line.push_str(&format!(" {name}=\"{}\"", value.replace(char::is_control, " ")));
            }
            line.push(']');
        }
        line.push(' ');
        let mut bytes = line.into_bytes();
        bytes.extend_from_slice(self.fields[0].as_deref().unwrap_or_default());
        bytes
    }
}

/// A field of the header: no spaces, nothing that is not to be seen.
fn word(text: Option<String>) -> String {
    let text = text.unwrap_or_default();
    let clean: String = text.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).take(255).collect();
    if clean.is_empty() { "-".to_owned() } else { clean }
}

/// What the reader is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The name of a field, or its end.
    Name,
    /// The text after `NAME=`, of a field that is kept or not.
    Text(Option<usize>),
    /// The length of a binary field, so many bytes of it read.
    Length(Option<usize>, u8, u64),
    /// Binary bytes to come.
    Binary(Option<usize>, u64),
    /// The line end after binary bytes.
    End,
}

/// Cuts the format into entries.
#[derive(Debug)]
pub struct ExportReader {
    message_bytes_max: usize,
    state: State,
    name: Vec<u8>,
    entry: Entry,
    has_fields: bool,
}

impl ExportReader {
    /// A reader at the front of an output. A message longer than so many bytes is cut.
    pub fn new(message_bytes_max: usize) -> ExportReader {
        ExportReader {
            message_bytes_max,
            state: State::Name,
            name: Vec::new(),
            entry: Entry::default(),
            has_fields: false,
        }
    }

    /// Takes the next bytes and adds the entries they complete.
    pub fn push(&mut self, mut bytes: &[u8], entries: &mut Vec<Entry>) {
        while let Some((first, rest)) = bytes.split_first() {
            bytes = match self.state {
                State::Name => {
                    self.name(*first, entries);
                    rest
                }
                State::Text(field) => match memchr::memchr(b'\n', bytes) {
                    Some(end) => {
                        self.hold(field, &bytes[..end]);
                        self.state = State::Name;
                        &bytes[end + 1..]
                    }
                    None => {
                        self.hold(field, bytes);
                        &[]
                    }
                },
                State::Length(field, count, length) => {
                    let length = length | u64::from(*first) << (8 * count);
                    self.state = match count {
                        7 if length == 0 => State::End,
                        7 => State::Binary(field, length),
                        count => State::Length(field, count + 1, length),
                    };
                    rest
                }
                State::Binary(field, left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    self.hold(field, &bytes[..taken]);
                    let left = left - taken as u64;
                    self.state = if left == 0 { State::End } else { State::Binary(field, left) };
                    &bytes[taken..]
                }
                State::End => {
                    self.state = State::Name;
                    rest
                }
            };
        }
    }

    fn name(&mut self, byte: u8, entries: &mut Vec<Entry>) {
        match byte {
            b'=' | b'\n' if !self.name.is_empty() => {
                let field = NAMES.iter().position(|known| known.as_bytes() == self.name);
                self.name.clear();
                self.has_fields = true;
                if let Some(field) = field {
                    // The last one of a name counts.
                    self.entry.fields[field] = Some(Vec::new());
                }
                self.state = if byte == b'=' { State::Text(field) } else { State::Length(field, 0, 0) };
            }
            b'\n' if std::mem::take(&mut self.has_fields) => {
                let mut entry = std::mem::take(&mut self.entry);
                entry.cursor = entry.text("__CURSOR");
                entries.push(entry);
            }
            b'\n' => {}
            _ if self.name.len() < NAME_BYTES_MAX => self.name.push(byte),
            _ => {}
        }
    }

    fn hold(&mut self, field: Option<usize>, bytes: &[u8]) {
        let Some(field) = field else { return };
        let bytes_max = if field == 0 { self.message_bytes_max } else { FIELD_BYTES_MAX };
        let held = self.entry.fields[field].get_or_insert_default();
        let kept = bytes.len().min(bytes_max.saturating_sub(held.len()));
        held.extend_from_slice(&bytes[..kept]);
        self.entry.is_cut |= kept < bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Settings, to_event};
    use nhatle_event::{Field, Record};

    /// Two entries as journald writes them: one of sshd, one with a message of two lines, which is binary.
    fn export() -> Vec<u8> {
        let mut bytes =
            b"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1770091506123456\n__MONOTONIC_TIMESTAMP=77\nPRIORITY=6\n\
            SYSLOG_FACILITY=4\nSYSLOG_IDENTIFIER=sshd\n_PID=812\n_HOSTNAME=may-01\n_TRANSPORT=syslog\n_UID=0\n\
            _EXE=/usr/sbin/sshd\n_SYSTEMD_UNIT=ssh.service\n\
            MESSAGE=Failed password for lan from 203.0.113.9 port 4711 ssh2\n\n"
                .to_vec();
        bytes.extend_from_slice(b"__CURSOR=s=1;i=3\n_HOSTNAME=may 01\n_COMM=a]b\nMESSAGE\n");
        bytes.extend_from_slice(&10u64.to_le_bytes());
        bytes.extend_from_slice("một\nhai\n".as_bytes());
        bytes.push(b'\n');
        bytes.extend_from_slice(b"EMPTY\n\0\0\0\0\0\0\0\0\nOTHER\n\x03\0\0\0\0\0\0\0a\nb\n\n\n");
        bytes
    }

    fn read(pieces: &[&[u8]], max: usize) -> Vec<Entry> {
        let (mut reader, mut entries) = (ExportReader::new(max), Vec::new());
        pieces.iter().for_each(|piece| reader.push(piece, &mut entries));
        entries
    }

    #[test]
    fn entries_are_lines_that_every_parser_of_linux_reads() {
        let entries = read(&[&export()], 1000);
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].cursor.as_deref(), Some("s=1;i=2"));
        let line = entries[0].line(Timestamp(0));
        let event = to_event(&Record::new(line, "journald", Timestamp(9)), &Settings::default()).unwrap();
        assert_eq!(event.text(Field::HOST_NAME), Some("may-01"));
        assert_eq!(event.text(Field::USER_NAME), Some("lan"));
        assert_eq!(event.timestamp.to_string(), "2026-02-03T04:05:06.123456Z");
        assert_eq!(event.text(Field::EVENT_MODULE), Some("linux"));
        let line = String::from_utf8(entries[1].line(Timestamp(0))).unwrap();
        assert!(line.ends_with(" may_01 a]b - - - một\nhai\n"), "{line}");
    }

    #[test]
    fn any_split_gives_the_same_entries() {
        let bytes = export();
        for max in [5, 1000] {
            let whole = read(&[&bytes], max);
            assert_eq!(whole[0].is_cut, max == 5);
            for step in 1..40 {
                assert_eq!(read(&bytes.chunks(step).collect::<Vec<_>>(), max), whole, "in pieces of {step}");
            }
        }
    }

    #[test]
    fn what_is_no_export_is_no_entry() {
        assert!(read(&[b"\n\n\n"], 9).is_empty());
        assert!(read(&[b"A\n\xff\xff\xff\xff\xff\xff\xff\xffxyz\n\n"], 9).is_empty(), "it never ends");
        assert!(read(&["x".repeat(1 << 20).as_bytes()], 9).is_empty());
    }
}
