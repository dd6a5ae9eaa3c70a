//! What was taken out of segments and is small and many: rows, dictionaries. In: a value, by its key. Out: the value again, while it
//! is kept. Bound: a number of bytes. Unlike [`super::cache`] nothing is looked for to make room: what was used since the last half of
//! the bytes came in is kept, all that was not goes at once.

use std::hash::Hash;
use std::mem::take;
use std::sync::{Arc, Mutex};

use foldhash::{HashMap, HashMapExt};
use nhatle_event::Stored;

/// What a value of an event takes besides its text.
const VALUE_BYTES: usize = 64;

type Values<K, V> = HashMap<K, (Arc<V>, usize)>;

struct Kept<K, V> {
    young: Values<K, V>,
    old: Values<K, V>,
    young_bytes: usize,
}

/// Values by keys that are never given to another value.
pub struct Recent<K, V> {
    bytes_max: usize,
    kept: Mutex<Option<Kept<K, V>>>,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    /// An empty one, of at most so many bytes.
    pub const fn new(bytes_max: usize) -> Recent<K, V> {
        Recent { bytes_max, kept: Mutex::new(None) }
    }

    /// The value, where it is kept.
    pub fn get(&self, key: K) -> Option<Arc<V>> {
        self.with(|kept| {
            if let Some((value, _)) = kept.young.get(&key) {
                return Some(value.clone());
            }
            let (value, bytes) = kept.old.remove(&key)?;
            kept.put(key, value.clone(), bytes, self.bytes_max / 2);
            Some(value)
        })
    }

    /// Keeps a value of about so many bytes; one that would push most others out is not kept.
    pub fn put(&self, key: K, value: Arc<V>, bytes: usize) {
        if bytes <= self.bytes_max / 8 {
            self.with(|kept| kept.put(key, value, bytes, self.bytes_max / 2));
        }
    }

    /// Forgets the values of these keys.
    pub fn forget(&self, is_meant: impl Fn(&K) -> bool) {
        self.with(|kept| {
            for (_, (_, bytes)) in kept.young.extract_if(|key, _| is_meant(key)) {
                kept.young_bytes -= bytes;
            }
            kept.old.retain(|key, _| !is_meant(key));
        });
    }

    /// How many values of these keys are kept.
    #[cfg(test)]
    pub fn count(&self, is_meant: impl Fn(&K) -> bool) -> usize {
        self.with(|kept| kept.young.keys().chain(kept.old.keys()).filter(|key| is_meant(key)).count())
    }

    fn with<R>(&self, act: impl FnOnce(&mut Kept<K, V>) -> R) -> R {
        let mut kept = self.kept.lock().expect("no code panics while it holds this lock");
        act(kept.get_or_insert_with(|| Kept { young: HashMap::new(), old: HashMap::new(), young_bytes: 0 }))
    }
}

impl<K: Eq + Hash, V> Kept<K, V> {
    fn put(&mut self, key: K, value: Arc<V>, bytes: usize, half: usize) {
        if half < self.young_bytes + bytes {
            self.old = take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        if let Some((_, before)) = self.young.insert(key, (value, bytes)) {
            self.young_bytes -= before;
        }
    }
}

/// About how much memory an event takes.
pub fn event_bytes(stored: &Stored) -> usize {
    let values = stored.event.fields().iter().flat_map(|(_, value)| value.each());
    let values = values.map(|value| value.text().map_or(0, str::len) + VALUE_BYTES).sum::<usize>();
    stored.event.original.len() + values + size_of::<Stored>() + VALUE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_kept_and_all_of_it_is_bounded() {
        let recent: Recent<u64, u64> = Recent::new(800);
        for number in 0..1_000 {
            recent.put(number, Arc::new(number), 10);
            assert_eq!(recent.get(0).as_deref(), Some(&0), "after {number}");
            recent.with(|kept| {
                let bytes: usize = kept.young.values().chain(kept.old.values()).map(|(_, bytes)| bytes).sum();
                assert!(bytes <= 800 && kept.young_bytes <= 400, "{bytes} bytes after {number}");
            });
        }
        assert_eq!(recent.get(999).as_deref(), Some(&999));
        assert_eq!(recent.get(900), None);
        recent.forget(|number| number % 2 == 1);
        assert_eq!((recent.get(999), recent.get(998).as_deref()), (None, Some(&998)));
        assert_eq!((recent.count(|number| number % 2 == 1), recent.with(|kept| kept.young_bytes % 10)), (0, 0));
        recent.put(7, Arc::new(7), 101);
        assert_eq!(recent.get(7), None);
    }
}
