//! A writer of EVTX files for tests, byte by byte: templates, records, chunks, checksums.
//! Source: as in the reader.

use super::RECORD_MAGIC;

pub(super) fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Binary XML being written; `base` is where its first byte will stand in the chunk.
pub(super) struct Writer {
    pub bytes: Vec<u8>,
    pub base: usize,
}

impl Writer {
    pub fn put(&mut self, bytes: &[u8]) -> &mut Writer {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub fn u32(&mut self, number: usize) -> &mut Writer {
        self.put(&u32::try_from(number).unwrap().to_le_bytes())
    }

    /// A name that stands where it is used.
    pub fn name(&mut self, name: &str) -> &mut Writer {
        let here = self.base + self.bytes.len() + 4;
        let count = u16::try_from(name.encode_utf16().count()).unwrap();
        self.u32(here).u32(0).put(&[0, 0]).put(&count.to_le_bytes()).put(&wide(name)).put(&[0, 0])
    }

    /// The start of an element in a template, up to its attributes.
    pub fn element(&mut self, name: &str, attribute: Option<(&str, &str)>) -> &mut Writer {
        let token = if attribute.is_some() { 0x41 } else { 0x01 };
        self.put(&[token, 0xff, 0xff]).u32(0).name(name);
        if let Some((name, text)) = attribute {
            self.u32(0).put(&[0x06]).name(name).text(text);
        }
        self.put(&[0x02])
    }

    pub fn text(&mut self, text: &str) -> &mut Writer {
        let count = u16::try_from(text.encode_utf16().count()).unwrap();
        self.put(&[0x05, 0x01]).put(&count.to_le_bytes()).put(&wide(text))
    }

    pub fn substitution(&mut self, number: u8, kind: u8) -> &mut Writer {
        self.put(&[0x0e, number, 0, kind])
    }

    pub fn end(&mut self) -> &mut Writer {
        self.put(&[0x04])
    }
}

/// The binary XML of a record at `base`: a template with its definition in place, and its values.
pub(super) fn event_xml(base: usize, image: &str, note: (u8, &[u8])) -> Vec<u8> {
    event_xml_with(base, image, note, (0x81, &wide("one\0two\0")))
}

pub(super) fn event_xml_with(base: usize, image: &str, note: (u8, &[u8]), last: (u8, &[u8])) -> Vec<u8> {
    let mut out = Writer { bytes: Vec::new(), base };
    out.put(&[0x0f, 1, 1, 0, 0x0c, 1]).u32(7);
    let definition = base + out.bytes.len() + 4;
    out.u32(definition).u32(0).put(&[9; 16]).u32(0);
    let size_at = out.bytes.len() - 4;
    out.put(&[0x0f, 1, 1, 0]).element("Event", None).element("System", None);
    out.element("Provider", Some(("Name", "Microsoft-Windows-Sysmon"))).end();
    out.element("EventID", None).substitution(0, 6).end();
    out.element("Channel", None).text("Microsoft-Windows-Sysmon/Operational").end().end();
    out.element("EventData", None);
    out.element("Data", Some(("Name", "Image"))).substitution(1, 1).end();
    out.element("Data", Some(("Name", "Note"))).text("<").substitution(2, note.0).text(">").end();
    out.element("Data", None).substitution(3, last.0).end();
    out.end().end().put(&[0x00]);
    let size = u32::try_from(out.bytes.len() - size_at - 4).unwrap();
    out.bytes[size_at..size_at + 4].copy_from_slice(&size.to_le_bytes());
    let image = wide(image);
    let values: [(u8, &[u8]); 4] = [(6, &[1, 0]), (1, &image), note, last];
    out.u32(values.len());
    for (kind, bytes) in values {
        out.put(&u16::try_from(bytes.len()).unwrap().to_le_bytes()).put(&[kind, 0]);
    }
    for (_, bytes) in values {
        out.put(bytes);
    }
    out.put(&[0x00]);
    out.bytes
}

/// A file of one chunk whose records hold what `xml` makes for each place.
pub(super) fn file(records: usize, xml: impl Fn(usize, usize) -> Vec<u8>) -> Vec<u8> {
    file_of(&[chunk(1, records, xml)])
}

/// A chunk whose records, numbered from `first` on, hold what `xml` makes for each place and count from 0.
pub(super) fn chunk(first: u64, records: usize, xml: impl Fn(usize, usize) -> Vec<u8>) -> Vec<u8> {
    let mut chunk = vec![0u8; 512];
    chunk[..8].copy_from_slice(b"ElfChnk\0");
    for number in 0..records {
        let body = xml(chunk.len() + 24, number);
        let size = u32::try_from(24 + body.len() + 4).unwrap().to_le_bytes();
        chunk.extend_from_slice(&RECORD_MAGIC);
        chunk.extend_from_slice(&size);
        chunk.extend_from_slice(&(first + number as u64).to_le_bytes());
        chunk.extend_from_slice(&116_444_736_000_000_000u64.to_le_bytes());
        chunk.extend_from_slice(&body);
        chunk.extend_from_slice(&size);
    }
    let free = u32::try_from(chunk.len()).unwrap();
    chunk[48..52].copy_from_slice(&free.to_le_bytes());
    chunk.resize(65_536, 0);
    let last = first + records as u64 - 1;
    for (at, number) in [(8, first), (16, last), (24, first), (32, last)] {
        chunk[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }
    seal(&mut chunk);
    chunk
}

/// A closed file of these chunks, its header as Windows writes it.
pub(super) fn file_of(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![0u8; 4096];
    file[..8].copy_from_slice(b"ElfFile\0");
    let last = chunks.last().map_or(0, |chunk| u64::from_le_bytes(chunk[16..24].try_into().unwrap()));
    file[16..24].copy_from_slice(&(chunks.len() as u64).saturating_sub(1).to_le_bytes());
    file[24..32].copy_from_slice(&(last + 1).to_le_bytes());
    file[32..36].copy_from_slice(&128u32.to_le_bytes());
    file[36..42].copy_from_slice(&[1, 0, 3, 0, 0, 0x10]);
    file[42..44].copy_from_slice(&u16::try_from(chunks.len()).unwrap().to_le_bytes());
    seal_file(&mut file);
    chunks.iter().for_each(|chunk| file.extend_from_slice(chunk));
    file
}

/// Writes the checksum of a file's header.
pub(super) fn seal_file(file: &mut [u8]) {
    let mut crc = flate2::Crc::new();
    crc.update(&file[..120]);
    file[124..128].copy_from_slice(&crc.sum().to_le_bytes());
}

/// Writes both checksums of a chunk.
pub(super) fn seal(chunk: &mut [u8]) {
    let sum = |parts: &[&[u8]]| {
        let mut crc = flate2::Crc::new();
        parts.iter().for_each(|part| crc.update(part));
        crc.sum().to_le_bytes()
    };
    let free = u32::from_le_bytes(chunk[48..52].try_into().unwrap()) as usize;
    let records = sum(&[&chunk[512..free]]);
    chunk[52..56].copy_from_slice(&records);
    let header = sum(&[&chunk[..120], &chunk[128..512]]);
    chunk[124..128].copy_from_slice(&header);
}
