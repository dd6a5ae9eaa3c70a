//! Comma-separated values as people and programs write them (RFC 4180; also separated by semicolon, tab or bar).
//!
//! In: text. Out: rows of cells with the line each begins in. A quoted cell may hold separators, line ends and doubled
//! quotes. Failure: a quote that does not end, or more cells, rows or bytes than allowed; with line and column.

use std::borrow::Cow;

/// How many cells one row may have.
pub const CELLS_MAX: usize = 256;
/// How long one cell may be, in bytes.
pub const CELL_BYTES_MAX: usize = 16 * 1024;

/// What is wrong in a table, and where: lines and columns count from 1; column 0 is the whole line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct CellError {
    /// The line.
    pub line: usize,
    /// The column, counted in cells.
    pub column: usize,
    /// What is wrong.
    pub reason: String,
}

/// A row and the line it begins in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// From 1.
    pub line: usize,
    /// Its cells, without quotes and the space around.
    pub cells: Vec<Cow<'a, str>>,
}

/// The rows of a table, read one by one. Empty lines are no rows.
pub struct Rows<'a> {
    rest: &'a str,
    line: usize,
    separator: char,
}

impl<'a> Rows<'a> {
    /// The rows of a text; the separator is the one its first line has most of.
    pub fn new(text: &'a str) -> Rows<'a> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let count = |separator: &char| first.matches(*separator).count();
        // Of as many, the first of these.
        let separator = [',', ';', '\t', '|'].into_iter().rev().max_by_key(count).unwrap_or(',');
        Rows { rest: text, line: 1, separator }
    }

    fn row(&mut self) -> Result<Row<'a>, CellError> {
        let line = self.line;
        let mut cells = Vec::new();
        loop {
            let column = cells.len() + 1;
            let error = |reason: &str| CellError { line, column, reason: reason.to_owned() };
            if CELLS_MAX <= cells.len() {
                return Err(error("too many cells"));
            }
            let (cell, end) = self.cell().ok_or_else(|| error("a quote that does not end"))?;
            if CELL_BYTES_MAX < cell.len() {
                return Err(error("too long"));
            }
            cells.push(cell);
            if end != Some(self.separator) {
                self.line += 1;
                return Ok(Row { line, cells });
            }
        }
    }

    /// One cell and what ended it: the separator, a line end, or nothing more.
    fn cell(&mut self) -> Option<(Cow<'a, str>, Option<char>)> {
        let blank = |c: char| c == ' ' || (c == '\t' && self.separator != '\t');
        let start = self.rest.trim_start_matches(blank);
        let Some(mut quoted) = start.strip_prefix('"') else {
            let end = start.find([self.separator, '\n']).unwrap_or(start.len());
            let (cell, rest) = start.split_at(end);
            let ended_by = rest.chars().next();
            self.rest = rest.get(1..).unwrap_or_default();
            return Some((Cow::Borrowed(cell.trim()), ended_by));
        };
        let mut held: Cow<'a, str> = Cow::Borrowed("");
        loop {
            let end = quoted.find('"')?;
            let (part, rest) = quoted.split_at(end);
            self.line += part.matches('\n').count();
            match &mut held {
                Cow::Borrowed("") => held = Cow::Borrowed(part),
                held => held.to_mut().push_str(part),
            }
            let rest = &rest[1..];
            let Some(more) = rest.strip_prefix('"') else {
                // What stands between the quote and the separator belongs to nothing.
                let end = rest.find([self.separator, '\n']).unwrap_or(rest.len());
                let rest = &rest[end..];
                self.rest = rest.get(1..).unwrap_or_default();
                return Some((held, rest.chars().next()));
            };
            held.to_mut().push('"');
            quoted = more;
        }
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Result<Row<'a>, CellError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            match self.row() {
                Ok(row) if row.cells.iter().all(|cell| cell.is_empty()) => {}
                Ok(row) => return Some(Ok(row)),
                Err(error) => {
                    // Where it would go on is anybody's guess.
                    self.rest = "";
                    return Some(Err(error));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(usize, &[&str])]) {
        let rows: Vec<Row<'_>> = Rows::new(text).collect::<Result<_, _>>().expect("is a table");
        let rows: Vec<(usize, Vec<&str>)> =
            rows.iter().map(|row| (row.line, row.cells.iter().map(|cell| &**cell).collect())).collect();
        let expected: Vec<(usize, Vec<&str>)> = expected.iter().map(|(line, cells)| (*line, cells.to_vec())).collect();
        assert_eq!(rows, expected, "{text:?}");
    }

    #[test]
    fn tables_read_as_their_programs_mean_them() {
        check("a,b\r\n1, 2 \r\n", &[(1, &["a", "b"]), (2, &["1", "2"])]);
        check("\u{feff}a;b;c\n\n1;;\"x;y\"", &[(1, &["a", "b", "c"]), (3, &["1", "", "x;y"])]);
        check(
            "a\tb\n\"1\n2\"\t\"say \"\"no\"\"\"\n3\t4",
            &[(1, &["a", "b"]), (2, &["1\n2", "say \"no\""]), (4, &["3", "4"])],
        );
        check("\"\",x\n", &[(1, &["", "x"])]);
        check("đường|tên\nmột|hai", &[(1, &["đường", "tên"]), (2, &["một", "hai"])]);
        check("", &[]);
    }

    #[test]
    fn what_is_no_table_says_where() {
        let error = |text: &str| Rows::new(text).find_map(Result::err).expect("is wrong");
        assert_eq!((error("a,b\n1,\"2\n3").line, error("a,b\n1,\"2\n3").column), (2, 2));
        assert_eq!(error(&",".repeat(300)).column, CELLS_MAX + 1);
        assert_eq!(error(&format!("a,{}", "x".repeat(CELL_BYTES_MAX + 1))).column, 2);
    }
}
