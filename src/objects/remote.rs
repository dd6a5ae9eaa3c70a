//! The door to an object store: whole objects put, read in pieces, listed, deleted.
//!
//! In: an [`Address`] and `[backup]`. Out: [`Remote`]. Memory: [`IN_FLIGHT`] pieces and one. Requests are tried again within
//! `backup.retry_max_s`; what then still fails is an error with the name of the object, and no secret. Source: Amazon S3 API
//! reference, through the `object_store` crate; what a store of another make must know is in ADR 40.

use std::fmt::Display;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use nhatle_event::json::hex;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, WriteMultipart};
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

use super::address::Address;
use super::settings::BackupFile;
use crate::command::UsageError;

/// What is sent or asked for at once. S3 takes no part below 5 MiB but the last.
pub const PIECE_BYTES: u64 = 8 << 20;
/// How many pieces are on their way.
pub const IN_FLIGHT: usize = 4;
/// Parts of one object (Amazon S3 user guide, "multipart upload limits").
const PARTS_MAX: u64 = 10_000;
/// How often what the crate does not try again is tried.
const CALLS_MAX: usize = 4;
/// How much of what a store says about an error is told.
const TOLD_MAX: usize = 600;

/// Why an object was not read.
#[derive(Debug)]
pub enum Unread {
    /// It is not there.
    Missing,
    /// The store was not reached, or what was read could not be kept: that says nothing of the object.
    Failed(anyhow::Error),
}

/// A file is another one than it was when it was hashed.
#[derive(Debug, thiserror::Error)]
#[error("it changed while it was read")]
pub struct Changed;

/// Whether an object is whole was not learned: it is to be put again.
#[derive(Debug, thiserror::Error)]
#[error("the last answer was not heard")]
pub struct Unfinished;

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A folder that is not there is made.
    Writing,
    /// Nothing is changed.
    Reading,
}

/// See the module.
pub struct Remote {
    store: Arc<dyn ObjectStore>,
    runtime: Runtime,
    address: String,
    /// Of a folder: where.
    folder: Option<PathBuf>,
    retry_max: Duration,
}

impl Remote {
    /// Opens it; nothing is asked of a bucket yet.
    ///
    /// # Errors
    /// The settings are not enough, or the folder is none.
    pub fn open(address: &Address, settings: &BackupFile, purpose: Purpose) -> anyhow::Result<Remote> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (store, folder) = match address {
            Address::Folder(folder) => {
                prepare(folder, purpose)?;
                let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| told(&address, &error))?;
                (Arc::new(store) as Arc<dyn ObjectStore>, Some(folder.clone()))
            }
            Address::Bucket { bucket, prefix } => (bucket_store(bucket, prefix, settings)?, None),
        };
        let retry_max = Duration::from_secs(settings.retry_max_s);
        Ok(Remote { store, runtime, address: address.to_string(), folder, retry_max })
    }

    /// How it was named.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Gives every object below a folder to `keep`. Where an answer was cut off it goes on behind the last name.
    ///
    /// # Errors
    /// The store is not reached, or `keep` says so.
    pub fn list(&self, below: &str, mut keep: impl FnMut(ObjectMeta) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let prefix = Name::from(below);
        let mut after: Option<Name> = None;
        let (mut began, mut calls) = (Instant::now(), 0);
        loop {
            let before = after.clone();
            let stopped = self.runtime.block_on(async {
                let mut listed = match &before {
                    None => self.store.list(Some(&prefix)),
                    Some(last) => self.store.list_with_offset(Some(&prefix), last),
                };
                while let Some(object) = listed.next().await {
                    match object {
                        Ok(object) => {
                            after = Some(object.location.clone());
                            keep(object)?;
                        }
                        // A folder without any.
                        Err(Error::NotFound { .. }) if self.folder.is_some() => {}
                        Err(error) => return Ok(Some(error)),
                    }
                }
                anyhow::Ok(None)
            })?;
            let Some(error) = stopped else { return Ok(()) };
            if before != after {
                (began, calls) = (Instant::now(), 0);
            }
            calls += 1;
            // A folder is listed in no order, and no answer of it is cut off.
            let is_last = calls == CALLS_MAX || self.retry_max <= began.elapsed() || self.folder.is_some();
            if is_last || !matches!(error, Error::Generic { .. }) {
                return Err(told(&format!("list {}/{below}", self.address), &error));
            }
        }
    }

    /// The crate tries requests again, but not where the body of an answer was cut off, except when it reads an object.
    fn again<T>(&self, call: &mut dyn FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let began = Instant::now();
        for _ in 1..CALLS_MAX {
            match call() {
                Err(Error::Generic { .. }) if began.elapsed() < self.retry_max => {}
                done => return done,
            }
        }
        call()
    }

    /// Gives the bytes of an object of this length to `keep`, in order.
    ///
    /// # Errors
    /// It is not there; the store is not reached; `keep` says so.
    pub fn read(
        &self,
        name: &str,
        length: u64,
        mut keep: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> Result<(), Unread> {
        let path = Name::from(name);
        let starts = (0..length.div_ceil(PIECE_BYTES)).map(|piece| piece * PIECE_BYTES);
        let ranges = starts.map(|start| start..length.min(start + PIECE_BYTES));
        self.runtime.block_on(async {
            let mut pieces = stream::iter(ranges).map(|range| self.store.get_range(&path, range)).buffered(IN_FLIGHT);
            while let Some(piece) = pieces.next().await {
                match piece {
                    Ok(piece) => keep(&piece).map_err(Unread::Failed)?,
                    Err(Error::NotFound { .. }) => return Err(Unread::Missing),
                    Err(error) => return Err(Unread::Failed(self.told("read", name, &error))),
                }
            }
            Ok(())
        })
    }

    /// Puts an object of this length and SHA-256, in pieces; what is there of that name is replaced. It appears whole or not
    /// at all. `passed` is told of each piece.
    ///
    /// # Errors
    /// It cannot be read, is another one than was said, or the store says so.
    pub fn put(
        &self,
        name: &str,
        (length, sha256): (u64, &str),
        mut from: impl Read,
        mut passed: impl FnMut(u64),
    ) -> anyhow::Result<()> {
        let path = Name::from(name);
        let part_bytes = PIECE_BYTES.max(length.div_ceil(PARTS_MAX).next_multiple_of(1 << 20));
        let mut pieces = Pieces { from: &mut from, part_bytes, left: length, hash: Sha256::new(), sha256 };
        if length <= part_bytes {
            let piece = pieces.next()?;
            pieces.check()?;
            let put = self.runtime.block_on(self.store.put(&path, piece.into()));
            put.map_err(|error| self.told("put", name, &error))?;
            passed(length);
            return Ok(());
        }
        // Parts are sent by tasks of their own, while the next piece is read.
        let _entered = self.runtime.enter();
        let begun = self.again(&mut || self.runtime.block_on(self.store.put_multipart(&path)));
        let begun = begun.map_err(|error| self.told("begin", name, &error))?;
        let mut write = WriteMultipart::new_with_chunk_size(begun, usize::try_from(part_bytes)?);
        match self.send_parts(name, &mut write, &mut pieces, passed) {
            Ok(()) => {
                let finished = self.runtime.block_on(write.finish());
                finished.map(drop).map_err(|error| self.told("finish", name, &error).context(Unfinished))
            }
            Err(error) => {
                // Why it was given up is what counts; parts that stay are deleted by the store's rule for them.
                drop(self.runtime.block_on(write.abort()));
                Err(error)
            }
        }
    }

    fn send_parts(
        &self,
        name: &str,
        write: &mut WriteMultipart,
        pieces: &mut Pieces<'_>,
        mut passed: impl FnMut(u64),
    ) -> anyhow::Result<()> {
        loop {
            let piece = pieces.next()?;
            if piece.is_empty() {
                return pieces.check();
            }
            let count = piece.len() as u64;
            let room = self.runtime.block_on(write.wait_for_capacity(IN_FLIGHT));
            room.map_err(|error| self.told("put a part of", name, &error))?;
            write.put(piece);
            passed(count);
        }
    }

    /// Puts a small object under a name that must be free. Where it is there already as it is, it was put by a request whose
    /// answer was lost.
    ///
    /// # Errors
    /// Another one is there, or the store says so.
    pub fn put_new(&self, name: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        let (path, bytes) = (Name::from(name), Bytes::from(bytes));
        let mut once = || {
            let put = self.store.put_opts(&path, bytes.clone().into(), PutMode::Create.into());
            let Err(error) = self.runtime.block_on(put) else { return Ok(()) };
            let mut there = Vec::new();
            let keep = |piece: &[u8]| {
                there.extend_from_slice(piece);
                Ok(())
            };
            let read = self.read(name, bytes.len() as u64, keep);
            if read.is_ok() && there == bytes { Ok(()) } else { Err(error) }
        };
        self.again(&mut once).map_err(|error| self.told("put", name, &error))
    }

    /// Deletes objects; one that is not there is deleted.
    ///
    /// # Errors
    /// The store says so.
    pub fn delete(&self, names: &[String]) -> anyhow::Result<()> {
        let mut once = || {
            let paths: Vec<_> = names.iter().map(|name| Ok(Name::from(name.as_str()))).collect();
            self.runtime.block_on(async {
                let mut deleted = self.store.delete_stream(stream::iter(paths).boxed());
                loop {
                    match deleted.try_next().await {
                        Ok(Some(_)) | Err(Error::NotFound { .. }) => {}
                        Ok(None) => return Ok(()),
                        Err(error) => return Err(error),
                    }
                }
            })
        };
        self.again(&mut once).map_err(|error| told(&format!("delete below {}", self.address), &error))
    }

    /// Makes what was put durable. A bucket answers only once it is.
    ///
    /// # Errors
    /// The disk says so.
    pub fn sync(&self) -> anyhow::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        sync_below(folder).with_context(|| format!("sync {}", self.address))
    }

    fn told(&self, what: &str, name: &str, error: &Error) -> anyhow::Error {
        told(&format!("{what} {}/{name}", self.address), error)
    }
}

/// A file in pieces, hashed as they are taken.
struct Pieces<'a> {
    from: &'a mut dyn Read,
    part_bytes: u64,
    left: u64,
    hash: Sha256,
    /// What it must be, hexadecimal.
    sha256: &'a str,
}

impl Pieces<'_> {
    /// The next piece; an empty one at the end.
    fn next(&mut self) -> io::Result<Bytes> {
        let mut piece = Vec::new();
        (&mut *self.from).take(self.part_bytes.min(self.left)).read_to_end(&mut piece)?;
        self.left -= piece.len() as u64;
        self.hash.update(&piece);
        Ok(piece.into())
    }

    /// All of it was taken, and it is what it was said to be.
    fn check(&mut self) -> anyhow::Result<()> {
        let is_same = self.left == 0 && hex(&self.hash.finalize_reset()) == self.sha256;
        if is_same { Ok(()) } else { Err(Changed.into()) }
    }
}

/// The error as one line: what the crate says holds its causes already.
fn told(what: &dyn Display, error: &Error) -> anyhow::Error {
    let mut said = error.to_string();
    if let Some((at, _)) = said.char_indices().nth(TOLD_MAX) {
        said.truncate(at);
        said.push('…');
    }
    anyhow!("{what}: {said}")
}

/// A folder for objects. It holds keys: what is made here is its owner's alone.
fn prepare(folder: &Path, purpose: Purpose) -> anyhow::Result<()> {
    if purpose == Purpose::Reading {
        return if folder.is_dir() {
            Ok(())
        } else {
            Err(UsageError(format!("{} is no folder", folder.display())).into())
        };
    }
    for below in ["", super::index::OBJECTS, super::index::BACKUPS] {
        let made = folder.join(below);
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&made).with_context(|| format!("make {}", made.display()))?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn sync_below(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(std::fs::File::open(folder)?)?)
}

/// Elsewhere there is no such call: files and folders one by one.
#[cfg(not(target_os = "linux"))]
fn sync_below(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_below(&entry.path())?;
        } else {
            std::fs::File::open(entry.path())?.sync_all()?;
        }
    }
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(not(feature = "s3"))]
fn bucket_store(_bucket: &str, _prefix: &str, _settings: &BackupFile) -> anyhow::Result<Arc<dyn ObjectStore>> {
    bail!(UsageError("this program was built without s3".to_owned()))
}

#[cfg(feature = "s3")]
fn bucket_store(bucket: &str, prefix: &str, settings: &BackupFile) -> anyhow::Result<Arc<dyn ObjectStore>> {
    /// It is the time that ends trying, not this.
    const RETRIES_MAX: usize = 1_000;

    use object_store::aws::AmazonS3Builder;
    use object_store::prefix::PrefixStore;
    use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};

    let access = settings.access(|name| std::env::var(name).ok())?;
    let is_plain = access.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    // A piece within five minutes: 28 KB a second.
    let mut options = ClientOptions::new()
        .with_timeout(Duration::from_secs(300))
        .with_connect_timeout(Duration::from_secs(10))
        .with_allow_http(is_plain);
    if let Some(pem) = &access.ca {
        let certificates = Certificate::from_pem_bundle(pem).ok().filter(|found| !found.is_empty());
        let Some(certificates) = certificates else {
            bail!(UsageError("backup.ca: no certificate in PEM stands there".to_owned()));
        };
        options = certificates.into_iter().fold(options, ClientOptions::with_root_certificate);
    }
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(15),
        ..BackoffConfig::default()
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(access.region)
        .with_access_key_id(access.key_id)
        .with_secret_access_key(access.secret)
        .with_virtual_hosted_style_request(!access.is_path_style)
        .with_retry(RetryConfig { backoff, max_retries: RETRIES_MAX, retry_timeout: access.retry_max })
        .with_client_options(options);
    if let Some(token) = access.token {
        builder = builder.with_token(token);
    }
    if let Some(endpoint) = access.endpoint {
        // The crate takes an endpoint that is not path style as it is.
        builder = builder.with_endpoint(match endpoint.split_once("://") {
            Some((scheme, host)) if !access.is_path_style => format!("{scheme}://{bucket}.{host}"),
            _ => endpoint,
        });
    }
    let store = builder.build().map_err(|error| told(&"reach the object store", &error))?;
    if prefix.is_empty() {
        return Ok(Arc::new(store));
    }
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}
