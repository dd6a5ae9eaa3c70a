//! A query in SQL, and the forms of its answer.

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SqlFormat {
    /// One object with columns and rows.
    #[default]
    Json,
    /// One object a line.
    JsonLines,
    /// RFC 4180.
    Csv,
    /// A stream of Arrow IPC.
    Arrow,
    /// Apache Parquet.
    Parquet,
}

impl SqlFormat {
    const ALL: [SqlFormat; 5] =
        [SqlFormat::Json, SqlFormat::JsonLines, SqlFormat::Csv, SqlFormat::Arrow, SqlFormat::Parquet];

    /// The media type, without parameters.
    pub fn media_type(self) -> &'static str {
        match self {
            SqlFormat::Json => "application/json",
            SqlFormat::JsonLines => "application/x-ndjson",
            SqlFormat::Csv => "text/csv",
            SqlFormat::Arrow => "application/vnd.apache.arrow.stream",
            SqlFormat::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The first form that an `Accept` names; `None` where it names none that there is. Weights are not looked at.
    pub fn accepted(accept: &str) -> Option<SqlFormat> {
        let asked = accept.split(',').map(|one| one.split(';').next().unwrap_or_default().trim());
        asked.map(str::to_ascii_lowercase).find_map(|asked| match asked.as_str() {
            "" | "*/*" | "application/*" => Some(SqlFormat::Json),
            "text/*" => Some(SqlFormat::Csv),
            asked => SqlFormat::ALL.into_iter().find(|one| one.media_type() == asked),
        })
    }
}

/// A query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SqlQuery {
    /// Its text.
    pub text: String,
    /// The values of `$1`, `$2`, ….
    pub parameters: Vec<serde_json::Value>,
    /// How its answer is written.
    pub format: SqlFormat,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accept_names_a_form() {
        let check = |accept: &str, expected: Option<SqlFormat>| assert_eq!(SqlFormat::accepted(accept), expected);
        check("", Some(SqlFormat::Json));
        check("*/*", Some(SqlFormat::Json));
        check("text/html, text/CSV;q=0.5", Some(SqlFormat::Csv));
        check("application/vnd.apache.parquet", Some(SqlFormat::Parquet));
        check("image/png", None);
    }
}
