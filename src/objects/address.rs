//! Where a backup goes: a file, or an object store by its address.

use std::fmt;
use std::path::{Path, PathBuf};

/// An object store, and the part of it that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `file:///DIR`
    Folder(PathBuf),
    /// `s3://BUCKET/PREFIX`
    Bucket {
        /// The bucket.
        bucket: String,
        /// What the names of all objects begin with; may be empty.
        prefix: String,
    },
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Folder(folder) => write!(f, "file://{}", folder.display()),
            Address::Bucket { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Address::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

impl Address {
    /// Reads what was named on the command line; `None`: a plain file.
    ///
    /// # Errors
    /// It begins like an address and is none, in words.
    pub fn read(named: &Path) -> Result<Option<Address>, String> {
        let Some(text) = named.to_str() else { return Ok(None) };
        if let Some(path) = text.strip_prefix("file://") {
            if !path.starts_with('/') {
                return Err(format!("{text}: an address of a folder is file:///DIR, with three slashes"));
            }
            return Ok(Some(Address::Folder(PathBuf::from(path))));
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
            // Amazon S3 user guide, "General purpose bucket naming rules"; older buckets may have capitals and underscores.
            let is_bucket = (3..=63).contains(&bucket.len())
                && bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
            let is_plain = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(is_safe);
            if !is_bucket || !(prefix.is_empty() || prefix.split('/').all(is_plain)) {
                return Err(format!("{text:?} is no s3://BUCKET/PREFIX of letters, digits and . _ -"));
            }
            return Ok(Some(Address::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() }));
        }
        match text.split_once("://") {
            Some((scheme, _)) => Err(format!("{scheme}:// is no place for backups: s3:// or file://")),
            None => Ok(None),
        }
    }
}

/// Characters of a prefix that no store reads in another way (Amazon S3 user guide, "Safe characters").
fn is_safe(character: char) -> bool {
    character.is_ascii_alphanumeric() || "._-".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_what_only_looks_like_one_is_told() {
        let read =
            |text: &str| Address::read(Path::new(text)).map(|address| address.map(|address| address.to_string()));
        for (text, address) in [
            ("s3://city/siem/main/", Some("s3://city/siem/main")),
            ("s3://city", Some("s3://city")),
            ("file:///srv/backup", Some("file:///srv/backup")),
            ("/srv/backup/1.backup", None),
            ("s3", None),
        ] {
            assert_eq!(read(text), Ok(address.map(str::to_owned)), "{text}");
        }
        for bad in [
            "s3://",
            "s3://ab",
            "s3://city//a",
            "s3://city/../a",
            "s3://city/a?b",
            "s3://ci ty/a",
            "file://srv",
            "gs://city/a",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
