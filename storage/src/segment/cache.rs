//! What was read of segments and is kept for the next query, up to a number of bytes; what was not used
//! for the longest time goes first.

use std::sync::{Arc, Mutex};

use foldhash::{HashMap, HashMapExt};

struct Entry<T> {
    value: Arc<T>,
    bytes: usize,
    used: u64,
}

struct Kept<T> {
    entries: HashMap<u64, Entry<T>>,
    bytes: usize,
    clock: u64,
}

/// Values by the number of their segment.
pub struct Cache<T> {
    bytes_max: usize,
    kept: Mutex<Option<Kept<T>>>,
}

impl<T> Cache<T> {
    /// An empty cache of at most `bytes_max`; the newest value is kept whatever its size.
    pub const fn new(bytes_max: usize) -> Cache<T> {
        Cache { bytes_max, kept: Mutex::new(None) }
    }

    /// The value of `number`, loaded by `load` (with its size) where it is not kept. Two callers at once
    /// may both load it.
    ///
    /// # Errors
    /// What `load` says.
    pub fn get<E>(&self, number: u64, load: impl FnOnce() -> Result<(T, usize), E>) -> Result<Arc<T>, E> {
        if let Some(value) = self.with(|kept| {
            kept.clock += 1;
            let clock = kept.clock;
            kept.entries.get_mut(&number).map(|entry| {
                entry.used = clock;
                entry.value.clone()
            })
        }) {
            return Ok(value);
        }
        let (value, bytes) = load()?;
        let value = Arc::new(value);
        self.with(|kept| {
            kept.remove(number);
            while self.bytes_max < kept.bytes + bytes && !kept.entries.is_empty() {
                let oldest = kept.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(number, _)| *number);
                oldest.into_iter().for_each(|oldest| kept.remove(oldest));
            }
            kept.bytes += bytes;
            kept.entries.insert(number, Entry { value: value.clone(), bytes, used: kept.clock });
        });
        Ok(value)
    }

    /// The value of `number` is kept.
    pub fn keeps(&self, number: u64) -> bool {
        self.with(|kept| kept.entries.contains_key(&number))
    }

    /// Forgets the value of `number`.
    pub fn forget(&self, number: u64) {
        self.with(|kept| kept.remove(number));
    }

    fn with<R>(&self, act: impl FnOnce(&mut Kept<T>) -> R) -> R {
        let mut kept = self.kept.lock().expect("no code panics while it holds this lock");
        act(kept.get_or_insert_with(|| Kept { entries: HashMap::new(), bytes: 0, clock: 0 }))
    }
}

impl<T> Kept<T> {
    fn remove(&mut self, number: u64) {
        if let Some(entry) = self.entries.remove(&number) {
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_longest_goes_first() {
        let cache: Cache<u64> = Cache::new(30);
        let load = |number: u64| cache.get(number, || Ok::<_, ()>((number, 10))).map(|value| *value);
        let kept = |number: u64| cache.get(number, || Err(())).is_ok();
        (1..=3).for_each(|number| assert_eq!(load(number), Ok(number)));
        assert!(kept(1));
        assert_eq!(load(4), Ok(4));
        assert!(kept(1) && !kept(2) && kept(3) && kept(4));
        cache.forget(1);
        assert!(!kept(1));
    }
}
