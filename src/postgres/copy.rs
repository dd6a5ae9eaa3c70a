//! `COPY (query) TO STDOUT`: rows as lines of text or CSV.
//!
//! In: encoded rows whose values are text. Out: the bytes of `CopyData`. Source: PostgreSQL 15, reference I, COPY.

use bytes::Buf;

use super::text::Copy;

/// The line of the columns' names.
pub fn header<'n>(names: impl Iterator<Item = &'n str>, copy: &Copy) -> Vec<u8> {
    let values: Vec<Option<&[u8]>> = names.map(|name| Some(name.as_bytes())).collect();
    line(&values, copy)
}

/// A row as a line; `row` is the body of a `DataRow`.
pub fn row(row: &[u8], copy: &Copy) -> Vec<u8> {
    let mut rest = row;
    let count = if rest.len() < 2 { 0 } else { rest.get_i16() };
    let mut values = Vec::new();
    for _ in 0..count {
        let length = if rest.len() < 4 { -1 } else { rest.get_i32() };
        match usize::try_from(length).ok().filter(|length| *length <= rest.len()) {
            Some(length) => {
                let (value, behind) = rest.split_at(length);
                values.push(Some(value));
                rest = behind;
            }
            None => values.push(None),
        }
    }
    line(&values, copy)
}

fn line(values: &[Option<&[u8]>], copy: &Copy) -> Vec<u8> {
    let mut line = Vec::new();
    for (index, value) in values.iter().enumerate() {
        if 0 < index {
            line.push(if copy.is_csv { b',' } else { b'\t' });
        }
        match (value, copy.is_csv) {
            (None, true) => {}
            (None, false) => line.extend_from_slice(b"\\N"),
            (Some(value), true) => csv(value, &mut line),
            (Some(value), false) => escaped(value, &mut line),
        }
    }
    line.push(b'\n');
    line
}

fn csv(value: &[u8], line: &mut Vec<u8>) {
    // An empty value is quoted: unquoted it would be none.
    let is_plain =
        !value.is_empty() && !value.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) && value != b"\\.";
    if is_plain {
        line.extend_from_slice(value);
        return;
    }
    line.push(b'"');
    for byte in value {
        if *byte == b'"' {
            line.push(b'"');
        }
        line.push(*byte);
    }
    line.push(b'"');
}

fn escaped(value: &[u8], line: &mut Vec<u8>) {
    for byte in value {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\t' => line.extend_from_slice(b"\\t"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            other => line.push(*other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_postgresql() {
        let values: [Option<&[u8]>; 4] = [Some(b"a,\"b"), None, Some(b""), Some(b"x\ty\\")];
        let copy = |is_csv| Copy { query: String::new(), is_csv, has_header: false };
        assert_eq!(line(&values, &copy(true)), b"\"a,\"\"b\",,\"\",x\ty\\\n");
        assert_eq!(line(&values, &copy(false)), b"a,\"b\t\\N\t\tx\\ty\\\\\n");
    }
}
