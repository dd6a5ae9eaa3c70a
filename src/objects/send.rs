//! A backup on its way into an object store: what is there already is not sent again.
//!
//! In: files of a store, by path, length and SHA-256. Out: objects, then one index. Promise: when the index is there, every
//! object it names is, with its length; before that there is no backup. Memory: a few pieces, and a row for each object.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::time::{Duration, Instant};

use anyhow::bail;
use nhatle_event::{Clock, SystemClock};

use super::index::{self, Entry, Hash};
use super::remote::{Remote, Unfinished};
use super::transfer::Transfer;
use crate::backup::{FILES_MAX, FileRow, Index};
use crate::command::{UsageError, output};

/// Objects that no index names stay this long after they were put: a backup that is under way may be of use to them.
pub const GRACE_S: i64 = 30 * 86_400;
/// Objects that no index names are gone on with up to this age only, and sent anew after it,
const ORPHAN_S: i64 = 10 * 86_400;
/// and no backup takes longer than this: together less than [`GRACE_S`], so nothing is deleted under a backup.
const BACKUP_MAX: Duration = Duration::from_secs(15 * 86_400);

/// How often one object is sent.
const TRIES_MAX: usize = 3;

/// How many files, and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Count {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// See the module.
pub struct Sender<'a> {
    remote: &'a Remote,
    /// What need not be sent, with its length.
    there: BTreeMap<Hash, u64>,
    /// The newest backup before this one: what it names stays while it is there.
    before: Option<Entry>,
    rows: Vec<FileRow>,
    private: Vec<String>,
    sent: Count,
    kept: Count,
    transfer: Transfer,
    began: Instant,
}

/// A finished backup.
pub struct Sent {
    /// What it is called.
    pub name: String,
    /// Its index.
    pub index: Index,
    /// What was sent.
    pub sent: Count,
    /// What was there already.
    pub kept: Count,
}

impl<'a> Sender<'a> {
    /// Looks what is there. `last_seq`: the last event of the store.
    ///
    /// # Errors
    /// The store is not reached, or it holds backups of another store.
    pub fn begin(remote: &'a Remote, last_seq: u64) -> anyhow::Result<Sender<'a>> {
        let began = Instant::now();
        let (mut before, mut named) = (None, BTreeSet::new());
        for entry in index::backups(remote)?.into_iter().rev() {
            match index::read(remote, &entry)? {
                Ok(found) if last_seq < found.last_seq => bail!(UsageError(format!(
                    "{}: backup {} goes up to event {}, this store to {last_seq}: one prefix is for one store, take another",
                    remote.address(),
                    entry.name,
                    found.last_seq
                ))),
                Ok(found) => {
                    named = found.files.iter().filter_map(|row| index::hash(&row.sha256)).collect();
                    before = Some(entry);
                    break;
                }
                Err(problem) => output::say(&format!("a backup there is worth nothing: {problem}")),
            }
        }
        let listed = index::objects(remote)?;
        // A clock of ours that is behind must not make old objects look new.
        let newest_s = listed.values().map(|object| object.put_s).max().unwrap_or(0);
        let now_s = newest_s.max(SystemClock.now().0 / 1_000_000_000);
        let there = listed
            .into_iter()
            .filter(|(hash, object)| named.contains(hash) || now_s - object.put_s < ORPHAN_S)
            .map(|(hash, object)| (hash, object.bytes))
            .collect();
        Ok(Sender {
            remote,
            there,
            before,
            rows: Vec::new(),
            private: Vec::new(),
            sent: Count::default(),
            kept: Count::default(),
            transfer: Transfer::new("sent"),
            began,
        })
    }

    /// Adds a file; `open` is called where it has to be sent, each time anew.
    ///
    /// # Errors
    /// It is not what the row says, the store is not reached, or there are too many files.
    pub fn add<R: Read>(
        &mut self,
        row: FileRow,
        is_private: bool,
        mut open: impl FnMut() -> anyhow::Result<R>,
    ) -> anyhow::Result<()> {
        if FILES_MAX <= self.rows.len() {
            bail!("more than {FILES_MAX} files");
        }
        if BACKUP_MAX < self.began.elapsed() {
            bail!("this backup takes longer than {} days; run it again, it goes on", BACKUP_MAX.as_secs() / 86_400);
        }
        let Some(hash) = index::hash(&row.sha256) else { bail!("{:?} of {} is no SHA-256", row.sha256, row.path) };
        if self.there.get(&hash) == Some(&row.bytes) {
            self.kept.add(row.bytes);
        } else {
            let (transfer, name) = (&mut self.transfer, index::object(&row.sha256));
            let mut put =
                || self.remote.put(&name, (row.bytes, row.sha256.as_str()), open()?, |bytes| transfer.passed(bytes));
            let mut tries = 1;
            loop {
                match put() {
                    Err(error) if error.is::<Unfinished>() && tries < TRIES_MAX => tries += 1,
                    done => break done?,
                }
            }
            self.there.insert(hash, row.bytes);
            self.sent.add(row.bytes);
            self.transfer.file();
        }
        if is_private {
            self.private.push(row.path.clone());
        }
        self.rows.push(row);
        Ok(())
    }

    /// Puts the index: from then on there is a backup.
    ///
    /// # Errors
    /// An object is not there any more, or the store is not reached.
    pub fn finish(mut self, index: impl FnOnce(Vec<FileRow>, Vec<String>) -> Index) -> anyhow::Result<Sent> {
        let index = index(std::mem::take(&mut self.rows), std::mem::take(&mut self.private));
        let bytes = serde_json::to_vec(&index)?;
        let entry = Entry { name: index::name(&index.made, &bytes), bytes: bytes.len() as u64, put_s: 0 };
        self.all_are_there(&index)?;
        self.remote.sync()?;
        self.remote.put_new(&entry.object(), bytes)?;
        self.remote.sync()?;
        // Who deletes old backups deletes their indexes first, then reads those that stay, then deletes objects. So while the
        // backup before is there, this one was read; if it went meanwhile, it is looked again.
        if let Some(before) = &self.before
            && !index::backups(self.remote)?.contains(before)
            && let Err(error) = self.all_are_there(&index)
        {
            self.remote.delete(&[entry.object()])?;
            return Err(error.context("old backups were deleted meanwhile; run it again"));
        }
        Ok(Sent { name: entry.name, index, sent: self.sent, kept: self.kept })
    }

    fn all_are_there(&self, index: &Index) -> anyhow::Result<()> {
        let listed = index::objects(self.remote)?;
        for row in &index.files {
            let object = index::hash(&row.sha256).and_then(|hash| listed.get(&hash));
            if object.map(|object| object.bytes) != Some(row.bytes) {
                bail!(
                    "{} is not in {} as {} of {} bytes",
                    row.path,
                    self.remote.address(),
                    index::object(&row.sha256),
                    row.bytes
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{FORMAT_OBJECTS, hash_of};
    use crate::objects::address::Address;
    use crate::objects::keep::keep_newest;
    use crate::objects::remote::{Changed, Purpose};
    use crate::objects::settings::BackupFile;

    fn row(path: &str, bytes: &[u8]) -> FileRow {
        let (length, sha256) = hash_of(bytes, u64::MAX).expect("is read");
        FileRow { path: path.to_owned(), bytes: length, sha256 }
    }

    fn add(sender: &mut Sender<'_>, path: &str, bytes: &'static [u8]) {
        sender.add(row(path, bytes), false, || Ok(bytes)).expect("is sent");
    }

    fn finish(sender: Sender<'_>, made: &str) -> anyhow::Result<Sent> {
        let made = made.to_owned();
        sender.finish(|files, private| Index {
            format: FORMAT_OBJECTS,
            made,
            last_seq: 0,
            events: 0,
            datasets: BTreeMap::new(),
            register_entries: 0,
            since: None,
            kept: Vec::new(),
            private,
            files,
        })
    }

    #[test]
    fn a_backup_whose_ground_is_taken_away_is_none_and_one_that_keeps_it_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let address = Address::Folder(folder.path().join("store"));
        let remote = Remote::open(&address, &BackupFile::default(), Purpose::Writing).expect("opens");
        let backups = || index::backups(&remote).expect("is listed").len();
        let mut first = Sender::begin(&remote, 0).expect("begins");
        add(&mut first, "a", b"one");
        add(&mut first, "b", b"two");
        // The same content is one object.
        add(&mut first, "c", b"two");
        assert_eq!((first.sent, first.kept), (Count { files: 2, bytes: 6 }, Count { files: 1, bytes: 3 }));
        finish(first, "2026-02-03T04:05:06Z").expect("is finished");

        // An old backup and all its objects go while another backup counts on them.
        let mut second = Sender::begin(&remote, 0).expect("begins");
        add(&mut second, "a", b"one");
        assert_eq!(second.kept.files, 1);
        let all = index::backups(&remote).expect("is listed");
        remote.delete(&all.iter().map(Entry::object).collect::<Vec<_>>()).expect("is deleted");
        let object = index::object(&row("a", b"one").sha256);
        remote.delete(&[object]).expect("is deleted");
        let error = finish(second, "2026-02-03T04:05:07Z").err().expect("it has no ground");
        assert!(format!("{error:#}").contains("a is not in file://"), "{error:#}");
        assert_eq!(backups(), 0);

        // It goes while the objects are young: they stay.
        for second in ["08", "09"] {
            let mut sender = Sender::begin(&remote, 0).expect("begins");
            add(&mut sender, "a", b"one");
            let deleted = keep_newest(&remote, 1).expect("is done");
            assert_eq!(deleted.objects.files, 0);
            finish(sender, &format!("2026-02-03T04:05:{second}Z")).expect("is finished");
        }
        assert_eq!(backups(), 2);
    }

    #[test]
    fn what_changed_since_it_was_hashed_is_not_put_whatever_its_length() {
        let folder = tempfile::tempdir().expect("a folder");
        let address = Address::Folder(folder.path().join("store"));
        let remote = Remote::open(&address, &BackupFile::default(), Purpose::Writing).expect("opens");
        for length in [1, 7, 3 * usize::try_from(super::super::remote::PIECE_BYTES).expect("fits")] {
            let (said, is) = (vec![1; length], vec![2; length]);
            for read in [&is[..], &said[..length - 1]] {
                let mut sender = Sender::begin(&remote, 0).expect("begins");
                let error = sender.add(row("a", &said), false, || Ok(read)).expect_err("is another one");
                assert!(error.is::<Changed>(), "{error:#}");
                assert_eq!(index::objects(&remote).expect("is listed").len(), 0);
            }
        }
    }
}
