//! The register: everything people do, as an append-only, hash-chained change log in SQL.
//!
//! In: changes as `(stream, version, kind, json, actor, at)`. Out: the same, in order, with a place in
//! the whole log (`id`), the hash of the entry before, and its own. Each entry's hash covers all its
//! columns and the hash before it, so that an altered, missing or reordered row is found ([`verify`]).
//!
//! The SQL is the portable subset: SQLite now, PostgreSQL when there are several nodes. An append is one
//! transaction, durable when it returns (`synchronous = FULL`). Two writers of one stream: the second one
//! is refused with [`RegisterError::Conflict`] and reads again.

mod hash;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use nhatle_event::Timestamp;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Connection, Row};

pub use hash::{GENESIS, of as hash_of};

/// The register's file in the data folder.
pub const FILE_NAME: &str = "register.sqlite";
/// How large the JSON of one change may be, in bytes.
pub const CHANGE_BYTES_MAX: usize = 4 * 1024 * 1024;

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS change_log (
    id BIGINT PRIMARY KEY, stream TEXT NOT NULL, version BIGINT NOT NULL, kind TEXT NOT NULL,
    json TEXT NOT NULL, actor TEXT NOT NULL, at_ns BIGINT NOT NULL,
    prev_hash TEXT NOT NULL, hash TEXT NOT NULL, UNIQUE (stream, version))";

/// A change to write down.
#[derive(Clone, Debug, PartialEq)]
pub struct NewChange {
    /// What it is about: `incident/7`.
    pub stream: String,
    /// The kind of change.
    pub kind: String,
    /// The change itself.
    pub json: String,
    /// Who makes it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// A change as written down.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its place in the whole log, from 1, without gaps.
    pub id: i64,
    /// Its place in its stream, from 1, without gaps.
    pub version: i64,
    /// The change.
    pub change: NewChange,
    /// Hash of the entry before; [`GENESIS`] for the first.
    pub prev_hash: String,
    /// SHA-256 over all the above, hexadecimal.
    pub hash: String,
}

/// What went wrong with the register.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The database could not be used.
    #[error("{what} register {}", path.display())]
    Sql {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: sqlx::Error,
    },
    /// Somebody else changed the log since it was read.
    #[error("the log grew past entry {expected} meanwhile")]
    Conflict {
        /// The last entry the writer knew.
        expected: i64,
    },
    /// A change larger than [`CHANGE_BYTES_MAX`].
    #[error("change of {bytes} bytes is larger than {CHANGE_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
}

/// Something in the register that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The row (`id`), where it is known.
    pub row: Option<i64>,
    /// Where in the file the row stands, where it could be found.
    pub offset: Option<u64>,
    /// What is wrong.
    pub what: String,
}

/// An open register.
#[derive(Clone, Debug)]
pub struct Register {
    pool: SqlitePool,
    path: PathBuf,
}

impl Register {
    /// Opens the register in a data folder, making it if it is new.
    ///
    /// # Errors
    /// The file cannot be made or is no database.
    pub async fn open(folder: &Path) -> Result<Register, RegisterError> {
        let path = folder.join(FILE_NAME);
        let options = options(&path).create_if_missing(true);
        let register = Register::connect(path, options).await?;
        sqlx::query(SCHEMA).execute(&register.pool).await.map_err(|source| register.error("make", source))?;
        Ok(register)
    }

    /// Opens the register of a data folder for reading only.
    ///
    /// # Errors
    /// There is none, or it is no database.
    pub async fn open_read_only(folder: &Path) -> Result<Register, RegisterError> {
        let path = folder.join(FILE_NAME);
        let options = options(&path).read_only(true);
        Register::connect(path, options).await
    }

    async fn connect(path: PathBuf, options: SqliteConnectOptions) -> Result<Register, RegisterError> {
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await;
        match pool {
            Ok(pool) => Ok(Register { pool, path }),
            Err(source) => Err(RegisterError::Sql { what: "open", path, source }),
        }
    }

    fn error(&self, what: &'static str, source: sqlx::Error) -> RegisterError {
        RegisterError::Sql { what, path: self.path.clone(), source }
    }

    /// Writes changes down, all or none, if the log's last entry is still `after` (0 for an empty log).
    ///
    /// # Errors
    /// [`RegisterError::Conflict`] when it is not; the writer reads what is new, checks its changes
    /// against it and tries again.
    pub async fn append(&self, after: i64, changes: &[NewChange]) -> Result<Vec<Entry>, RegisterError> {
        if let Some(large) = changes.iter().find(|change| CHANGE_BYTES_MAX < change.json.len()) {
            return Err(RegisterError::TooLarge { bytes: large.json.len() });
        }
        let mut connection = self.pool.acquire().await.map_err(|source| self.error("append to", source))?;
        let mut transaction =
            connection.begin_with("BEGIN IMMEDIATE").await.map_err(|source| self.error("append to", source))?;
        let last = sqlx::query("SELECT id, hash FROM change_log ORDER BY id DESC LIMIT 1")
            .fetch_optional(&mut *transaction)
            .await
            .map_err(|source| self.error("append to", source))?;
        let (mut id, mut prev_hash) = last.map_or((0, GENESIS.to_owned()), |row| (row.get(0), row.get(1)));
        if id != after {
            return Err(RegisterError::Conflict { expected: after });
        }
        let mut entries = Vec::with_capacity(changes.len());
        for change in changes {
            id += 1;
            let version: i64 = sqlx::query("SELECT COALESCE(MAX(version), 0) + 1 FROM change_log WHERE stream = ?1")
                .bind(&change.stream)
                .fetch_one(&mut *transaction)
                .await
                .map_err(|source| self.error("append to", source))?
                .get(0);
            let mut entry = Entry { id, version, change: change.clone(), prev_hash, hash: String::new() };
            entry.hash = hash::of(&entry);
            insert(&entry, &mut transaction).await.map_err(|source| self.error("append to", source))?;
            prev_hash = entry.hash.clone();
            entries.push(entry);
        }
        transaction.commit().await.map_err(|source| self.error("append to", source))?;
        Ok(entries)
    }

    /// The entries after `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// The database could not be read.
    pub async fn read_after(&self, after: i64, limit: i64) -> Result<Vec<Entry>, RegisterError> {
        let rows = sqlx::query(
            "SELECT id, stream, version, kind, json, actor, at_ns, prev_hash, hash FROM change_log
             WHERE id > ?1 ORDER BY id LIMIT ?2",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(|source| self.error("read", source))?;
        rows.iter().map(|row| entry(row).map_err(|source| self.error("read", source))).collect()
    }

    /// Copies the register as it is now into a new file, and says how many entries that are; others may go on writing.
    ///
    /// # Errors
    /// The file is there already or cannot be written; the database could not be read.
    pub async fn copy_to(&self, path: &Path) -> Result<u64, RegisterError> {
        let name = path.to_str().ok_or_else(|| sqlx::Error::Protocol("a file's name that is no UTF-8".into()));
        let name = name.map_err(|source| self.error("copy", source))?;
        sqlx::query("VACUUM INTO ?1")
            .bind(name)
            .execute(&self.pool)
            .await
            .map_err(|source| self.error("copy", source))?;
        // Opening it as ours sets how it is written, which the copy does not take over.
        let copy = Register::connect(path.to_owned(), options(path)).await?;
        let count = sqlx::query("SELECT COUNT(*) FROM change_log").fetch_one(&copy.pool).await;
        let count: i64 = count.map_err(|source| copy.error("count", source))?.get(0);
        copy.close().await;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The hashes of the entries after `after`, oldest first.
    ///
    /// # Errors
    /// The database could not be read, or a hash is none.
    pub async fn hashes_after(&self, after: i64) -> Result<Vec<[u8; 32]>, RegisterError> {
        let rows = sqlx::query("SELECT hash FROM change_log WHERE id > ?1 ORDER BY id").bind(after);
        let rows = rows.fetch_all(&self.pool).await.map_err(|source| self.error("read", source))?;
        let hash = |row: &SqliteRow| {
            let text: String = row.try_get(0)?;
            let none = || sqlx::Error::Decode("a hash that is none".into());
            crate::proof::entry::unhex(&text).ok_or_else(none)
        };
        rows.iter().map(|row| hash(row).map_err(|source| self.error("read", source))).collect()
    }

    /// All entries of one stream, oldest first.
    ///
    /// # Errors
    /// The database could not be read.
    pub async fn read_stream(&self, stream: &str) -> Result<Vec<Entry>, RegisterError> {
        let rows = sqlx::query(
            "SELECT id, stream, version, kind, json, actor, at_ns, prev_hash, hash FROM change_log
             WHERE stream = ?1 ORDER BY id",
        );
        let rows = rows.bind(stream).fetch_all(&self.pool).await.map_err(|source| self.error("read", source))?;
        rows.iter().map(|row| entry(row).map_err(|source| self.error("read", source))).collect()
    }

    /// What SQLite finds wrong in the file: also where no row is read from, as in its index.
    async fn faults_of_file(&self) -> Result<Vec<String>, RegisterError> {
        // Ten faults at most are told.
        let rows = sqlx::query("PRAGMA integrity_check(10)").fetch_all(&self.pool).await;
        let rows = rows.map_err(|source| self.error("check", source))?;
        let said: Result<Vec<String>, sqlx::Error> = rows.iter().map(|row| row.try_get(0)).collect();
        let said = said.map_err(|source| self.error("check", source))?;
        Ok(said.into_iter().filter(|line| line != "ok").collect())
    }

    /// Closes the register; what it wrote goes into the one file.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::from_str("sqlite://")
        .unwrap_or_default()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
}

async fn insert(entry: &Entry, connection: &mut sqlx::SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO change_log VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")
        .bind(entry.id)
        .bind(&entry.change.stream)
        .bind(entry.version)
        .bind(&entry.change.kind)
        .bind(&entry.change.json)
        .bind(&entry.change.actor)
        .bind(entry.change.at.0)
        .bind(&entry.prev_hash)
        .bind(&entry.hash)
        .execute(connection)
        .await?;
    Ok(())
}

fn entry(row: &SqliteRow) -> Result<Entry, sqlx::Error> {
    Ok(Entry {
        id: row.try_get(0)?,
        version: row.try_get(2)?,
        change: NewChange {
            stream: row.try_get(1)?,
            kind: row.try_get(3)?,
            json: row.try_get(4)?,
            actor: row.try_get(5)?,
            at: Timestamp(row.try_get(6)?),
        },
        prev_hash: row.try_get(7)?,
        hash: row.try_get(8)?,
    })
}

/// Reads the whole register of a data folder and checks every hash, and the file around the rows. Damage is returned, not an error: a
/// file that cannot be read at all is damage too. A folder without a register has none.
pub async fn verify(folder: &Path) -> Vec<Damage> {
    let path = folder.join(FILE_NAME);
    if !path.try_exists().unwrap_or(true) {
        return Vec::new();
    }
    let unreadable = |error: &dyn std::fmt::Display| {
        vec![Damage { file: path.clone(), row: None, offset: None, what: format!("cannot be read: {error}") }]
    };
    let register = match Register::open_read_only(folder).await {
        Ok(register) => register,
        Err(error) => return unreadable(&source_text(&error)),
    };
    let mut damage = Vec::new();
    let (mut id, mut prev_hash) = (0, GENESIS.to_owned());
    loop {
        let entries = match register.read_after(id, 10_000).await {
            Ok(entries) => entries,
            Err(error) => {
                damage.extend(unreadable(&source_text(&error)));
                break;
            }
        };
        let Some(last) = entries.last() else { break };
        let last_id = last.id;
        for entry in &entries {
            if let Some(what) = hash::fault(entry, id, &prev_hash) {
                let offset = find(&path, entry.hash.as_bytes());
                damage.push(Damage { file: path.clone(), row: Some(entry.id), offset, what });
            }
            id = entry.id;
            prev_hash.clone_from(&entry.hash);
        }
        id = last_id;
    }
    if damage.is_empty() {
        let whole = register.faults_of_file().await;
        let whole = whole.unwrap_or_else(|error| vec![format!("cannot be read: {}", source_text(&error))]);
        damage.extend(whole.into_iter().map(|what| Damage { file: path.clone(), row: None, offset: None, what }));
    }
    register.close().await;
    damage
}

/// The hashes of all rows of the register of a data folder, oldest first, as the rows say them; none where there is no
/// register.
///
/// # Errors
/// It cannot be read, or a hash is none.
pub async fn hashes(folder: &Path) -> Result<Vec<[u8; 32]>, RegisterError> {
    if !folder.join(FILE_NAME).try_exists().unwrap_or(true) {
        return Ok(Vec::new());
    }
    let register = Register::open_read_only(folder).await?;
    let hashes = register.hashes_after(0).await;
    register.close().await;
    hashes
}

fn source_text(error: &RegisterError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Where in the file a row stands: its hash is text in the row, and unlike any other.
fn find(path: &Path, needle: &[u8]) -> Option<u64> {
    let bytes = std::fs::read(path).ok()?;
    let at = bytes.windows(needle.len()).position(|window| window == needle)?;
    u64::try_from(at).ok()
}

#[cfg(test)]
mod tests;
