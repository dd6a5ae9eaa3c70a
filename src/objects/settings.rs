//! `[backup]` of the configuration: how an object store is reached, and how many backups are kept there.
//!
//! In: the file as written, and the environment variables other programs of S3 read, where the file says nothing. Out:
//! [`Access`], or what is wrong. The secret is never part of the configuration, only the file it stands in; nothing here
//! prints it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::Uri;
use serde::{Deserialize, Serialize};

use crate::command::UsageError;

/// `[backup]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackupFile {
    /// `https://host:port` of the store; empty = the one of Amazon for the region.
    pub endpoint: String,
    /// The region requests are signed for.
    pub region: String,
    /// The bucket stands in the path of an address, not before its host.
    pub path_style: bool,
    /// Who asks; empty = `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// A file that holds the secret and nothing else; empty = `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key_file: PathBuf,
    /// Certificates (PEM) of authorities that are trusted beside those of the system; empty = none.
    pub ca: PathBuf,
    /// How long a request is tried again before the command gives up.
    pub retry_max_s: u64,
    /// How many backups stay below a prefix when one more is made; 0 = all.
    pub keep: usize,
}

impl Default for BackupFile {
    fn default() -> BackupFile {
        BackupFile {
            endpoint: String::new(),
            region: String::new(),
            path_style: true,
            access_key_id: String::new(),
            secret_access_key_file: PathBuf::new(),
            ca: PathBuf::new(),
            retry_max_s: 180,
            keep: 0,
        }
    }
}

/// The region of stores that have none.
const REGION: &str = "us-east-1";

/// What reaching a store in S3 takes. Holds the secret: it is neither printed nor serialized.
pub struct Access {
    /// Where; `None` = Amazon's.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// See [`BackupFile::path_style`].
    pub is_path_style: bool,
    /// Who asks.
    pub key_id: String,
    /// The secret.
    pub secret: String,
    /// Of credentials for a time: their token.
    pub token: Option<String>,
    /// PEM of authorities.
    pub ca: Option<Vec<u8>>,
    /// See [`BackupFile::retry_max_s`].
    pub retry_max: Duration,
}

impl BackupFile {
    /// Says what is wrong.
    pub fn check(&self, problems: &mut Vec<String>) {
        if !self.endpoint.is_empty()
            && let Err(problem) = endpoint(&self.endpoint)
        {
            problems.push(format!("backup.endpoint: {problem}"));
        }
        if !(1..=3_600).contains(&self.retry_max_s) {
            problems.push(format!("backup.retry_max_s: {} is not within 1 to 3600", self.retry_max_s));
        }
        if self.access_key_id.is_empty() != self.secret_access_key_file.as_os_str().is_empty() {
            problems.push(
                "backup.access_key_id, backup.secret_access_key_file: one is missing beside the other".to_owned(),
            );
        }
    }

    /// What it means, with what the environment says.
    ///
    /// # Errors
    /// Nobody says who asks, or a file that is named cannot be read.
    pub fn access(&self, environment: impl Fn(&str) -> Option<String>) -> anyhow::Result<Access> {
        let said = |own: &str, name: &str| {
            let theirs = || environment(name).filter(|text| !text.is_empty());
            if own.is_empty() { theirs() } else { Some(own.to_owned()) }
        };
        let mut problems = Vec::new();
        self.check(&mut problems);
        if let Some(problem) = problems.into_iter().next() {
            return Err(UsageError(problem).into());
        }
        let endpoint_text = said(&self.endpoint, "AWS_ENDPOINT_URL");
        let endpoint = endpoint_text
            .map(|text| endpoint(&text))
            .transpose()
            .map_err(|problem| UsageError(format!("AWS_ENDPOINT_URL: {problem}")))?;
        // A pair is from one place: the file's, or the environment's.
        let pair = if self.access_key_id.is_empty() {
            said("", "AWS_ACCESS_KEY_ID").zip(said("", "AWS_SECRET_ACCESS_KEY"))
        } else {
            let secret = String::from_utf8_lossy(&file(&self.secret_access_key_file, "secret_access_key_file")?)
                .trim()
                .to_owned();
            Some((self.access_key_id.clone(), secret)).filter(|(_, secret)| !secret.is_empty())
        };
        let Some((key_id, secret)) = pair else {
            let problem = "no credentials: set access_key_id and secret_access_key_file in [backup] of --config FILE, or \
                           AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment";
            return Err(UsageError(problem.to_owned()).into());
        };
        let ca = said(&self.ca.to_string_lossy(), "AWS_CA_BUNDLE");
        Ok(Access {
            endpoint,
            region: said(&self.region, "AWS_REGION").unwrap_or_else(|| REGION.to_owned()),
            is_path_style: self.path_style,
            token: if self.access_key_id.is_empty() { said("", "AWS_SESSION_TOKEN") } else { None },
            key_id,
            secret,
            ca: ca.map(|path| file(Path::new(&path), "ca")).transpose()?,
            retry_max: Duration::from_secs(self.retry_max_s),
        })
    }
}

fn file(path: &Path, key: &str) -> Result<Vec<u8>, UsageError> {
    std::fs::read(path).map_err(|error| UsageError(format!("backup.{key}: {}: {error}", path.display())))
}

/// An address without a path, without the slash at its end. Keys of the city go there: unencrypted on loopback only.
fn endpoint(text: &str) -> Result<String, String> {
    let uri: Uri = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err(format!("{text:?} is no address such as https://minio.example:9000"));
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("no credentials in an address".to_owned());
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(format!("{text:?} has a path"));
    }
    match scheme {
        "https" => {}
        "http" if is_loopback => {}
        "http" => return Err(format!("{text:?}: keys of the city go there, so https:// beyond this machine")),
        _ => return Err(format!("{text:?} is neither https:// nor http://")),
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_this_machine_and_holds_nothing_else() {
        for good in [
            "https://minio.example:9000/",
            "https://10.45.0.9",
            "http://127.0.0.1:9000",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert_eq!(endpoint(good), Ok(good.trim_end_matches('/').to_owned()));
        }
        for bad in [
            "",
            "minio.example",
            "http://minio.example",
            "https://a/b",
            "https://a/?x",
            "ftp://a",
            "https://a:b@c",
            "http://127.0.0.1.example",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn credentials_are_a_pair_of_one_place_and_no_error_holds_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "of-the-file\n").expect("is written");
        let environment = |name: &str| match name {
            "AWS_ACCESS_KEY_ID" => Some("theirs".to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some("of-the-environment".to_owned()),
            "AWS_SESSION_TOKEN" => Some("token".to_owned()),
            _ => None,
        };
        let own = BackupFile {
            access_key_id: "own".to_owned(),
            secret_access_key_file: secret.clone(),
            ..BackupFile::default()
        };
        let access = own.access(environment).expect("is enough");
        assert_eq!((access.key_id.as_str(), access.secret.as_str(), access.token), ("own", "of-the-file", None));
        let access = BackupFile::default().access(environment).expect("is enough");
        assert_eq!((access.key_id.as_str(), access.secret.as_str()), ("theirs", "of-the-environment"));
        assert_eq!((access.token.as_deref(), access.region.as_str()), (Some("token"), "us-east-1"));
        std::fs::write(&secret, "\n").expect("is written");
        let none = own.access(environment).err().expect("an empty secret is none");
        assert!(none.to_string().contains("no credentials"), "{none}");
        assert!(!format!("{own:?}").contains("of-the-file"));
        assert!(BackupFile::default().access(|_| None).is_err());
        let half = BackupFile { access_key_id: "own".to_owned(), ..BackupFile::default() };
        assert!(half.access(environment).is_err());
    }
}
