//! Merkle trees as certificate transparency has them: root, inclusion and consistency, over a store of complete
//! subtrees ([`Nodes`]) or over leaves in memory ([`Tree`]).
//!
//! A leaf is SHA-256(00 ‖ data), a node SHA-256(01 ‖ left ‖ right), the left part of `n` leaves the largest power of two
//! below `n`. Nothing here reads a file or a clock. Source: RFC 6962 section 2.1, RFC 9162 section 2.1 (the same tree;
//! its verification algorithms 2.1.3.2 and 2.1.4.2). `naive` is the RFC's definition word for word, for tests.

use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The hash of a leaf with this data.
pub fn leaf_hash(data: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(data);
    hash.finalize().into()
}

/// The hash of a node over two subtrees.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    Sha256::digest(bytes).into()
}

/// The root of no leaves.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}

/// Complete subtrees by level (0 is a leaf's hash) and place in their level: whatever keeps them.
pub type Nodes<'a, E> = &'a dyn Fn(u32, u64) -> Result<Hash, E>;

/// The root over the leaves from `begin` to before `end`; `begin` is a multiple of the smallest power of two that is
/// not less than their number.
fn subtree<E>(nodes: Nodes<'_, E>, begin: u64, end: u64) -> Result<Hash, E> {
    let count = end - begin;
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return nodes(level, begin >> level);
    }
    let middle = begin + split(count);
    Ok(node_hash(&subtree(nodes, begin, middle)?, &subtree(nodes, middle, end)?))
}

/// The root of the first `size` leaves.
///
/// # Errors
/// What `nodes` says.
pub fn root<E>(nodes: Nodes<'_, E>, size: u64) -> Result<Hash, E> {
    if size == 0 { Ok(empty_root()) } else { subtree(nodes, 0, size) }
}

/// The proof that leaf `index` stands in the tree of the first `size` leaves, lowest node first; `index` is below `size`.
///
/// # Errors
/// What `nodes` says.
pub fn inclusion<E>(nodes: Nodes<'_, E>, index: u64, size: u64) -> Result<Vec<Hash>, E> {
    debug_assert!(index < size, "the leaf is in the tree");
    let (mut begin, mut end) = (0, size);
    let mut path = Vec::new();
    while 1 < end - begin {
        let middle = begin + split(end - begin);
        if index < middle {
            path.push(subtree(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(subtree(nodes, begin, middle)?);
            begin = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of the first `old` leaves is the beginning of that of the first `new` ones; empty where `old`
/// is 0 or `new`. `old` is not past `new`.
///
/// # Errors
/// What `nodes` says.
pub fn consistency<E>(nodes: Nodes<'_, E>, old: u64, new: u64) -> Result<Vec<Hash>, E> {
    debug_assert!(old <= new, "a tree does not shrink");
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut begin, mut end, mut is_whole) = (0, new, true);
    let mut path = Vec::new();
    // RFC 6962 2.1.2: SUBPROOF(m, D[n], b), from the root down.
    while old != end {
        let middle = begin + split(end - begin);
        if old <= middle {
            path.push(subtree(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(subtree(nodes, begin, middle)?);
            (begin, is_whole) = (middle, false);
        }
    }
    if !is_whole {
        path.push(subtree(nodes, begin, end)?);
    }
    path.reverse();
    Ok(path)
}

/// The root that a leaf's hash and its proof of inclusion come to, or `None` where the proof is not of the length that
/// this place in a tree of this size needs (RFC 9162 section 2.1.3.2).
pub fn root_of_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if size <= index {
        return None;
    }
    let (mut at, mut last, mut root) = (index, size - 1, *leaf);
    for step in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            root = node_hash(step, &root);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            root = node_hash(&root, step);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some(root)
}

/// The tree of `new` leaves with root `new_root` begins with that of `old` leaves with root `old_root` (RFC 9162 section
/// 2.1.4.2).
pub fn is_consistent(old: u64, old_root: &Hash, new: u64, new_root: &Hash, path: &[Hash]) -> bool {
    if old == 0 || old == new {
        let is_same = if old == 0 { *old_root == empty_root() } else { old_root == new_root };
        return path.is_empty() && is_same;
    }
    if new < old {
        return false;
    }
    let with_old = [*old_root];
    let mut steps = if old.is_power_of_two() { with_old.iter().chain(path) } else { [].iter().chain(path) };
    let Some(first) = steps.next() else { return false };
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let (mut from_old, mut from_new) = (*first, *first);
    for step in steps {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            from_old = node_hash(step, &from_old);
            from_new = node_hash(step, &from_new);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            from_new = node_hash(&from_new, step);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && from_old == *old_root && from_new == *new_root
}

/// A tree in memory.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// The complete subtrees of each level.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree over leaves with these hashes ([`leaf_hash`]).
    pub fn of(leaves: Vec<Hash>) -> Tree {
        let mut levels = vec![leaves];
        while let Some(next) = levels.last().filter(|level| 1 < level.len()).map(|level| pairs(level)) {
            levels.push(next);
        }
        Tree { levels }
    }

    /// Adds a leaf's hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(hash);
            match self.levels[level][..] {
                [.., ref left, ref right] if self.levels[level].len().is_multiple_of(2) => {
                    hash = node_hash(left, right)
                }
                _ => return,
            }
        }
    }

    /// How many leaves it has.
    pub fn len(&self) -> u64 {
        self.levels.first().map_or(0, |level| level.len() as u64)
    }

    /// It has no leaf.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn node(&self, level: u32, place: u64) -> Result<Hash, Past> {
        let of_level = usize::try_from(level).ok().and_then(|level| self.levels.get(level));
        let place = usize::try_from(place).map_err(|_past| Past)?;
        of_level.and_then(|level| level.get(place)).copied().ok_or(Past)
    }

    /// The hash of a complete subtree; `None` where it is not there.
    pub fn node_at(&self, level: u32, place: u64) -> Option<Hash> {
        self.node(level, place).ok()
    }

    /// The root of the first `size` leaves; `None` where there are fewer.
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        root(&|level, place| self.node(level, place), size).ok()
    }

    /// The root of all.
    pub fn root(&self) -> Hash {
        self.root_at(self.len()).unwrap_or_else(empty_root)
    }

    /// [`inclusion`] in the first `size` leaves; `None` where there is no such leaf.
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        if size <= index {
            return None;
        }
        inclusion(&|level, place| self.node(level, place), index, size).ok()
    }
}

/// A subtree that is not there.
#[derive(Debug)]
struct Past;

/// The next level: an odd last one has no partner yet.
fn pairs(level: &[Hash]) -> Vec<Hash> {
    level.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect()
}

#[cfg(test)]
pub mod naive {
    //! RFC 6962 section 2.1 as it is written: recursive, over all leaves each time.

    use super::{Hash, empty_root, leaf_hash, node_hash, split};

    /// MTH(D).
    pub fn root(data: &[Vec<u8>]) -> Hash {
        match data {
            [] => empty_root(),
            [one] => leaf_hash(one),
            _ => {
                let (left, right) = data.split_at(middle(data));
                node_hash(&root(left), &root(right))
            }
        }
    }

    /// PATH(m, D).
    pub fn path(at: usize, data: &[Vec<u8>]) -> Vec<Hash> {
        if data.len() < 2 {
            return Vec::new();
        }
        let (left, right) = data.split_at(middle(data));
        let (mut path, other) = match at < left.len() {
            true => (path(at, left), root(right)),
            false => (path(at - left.len(), right), root(left)),
        };
        path.push(other);
        path
    }

    /// PROOF(m, D).
    pub fn proof(old: usize, data: &[Vec<u8>]) -> Vec<Hash> {
        if old == 0 { Vec::new() } else { subproof(old, data, true) }
    }

    fn subproof(old: usize, data: &[Vec<u8>], is_whole: bool) -> Vec<Hash> {
        if old == data.len() {
            return if is_whole { Vec::new() } else { vec![root(data)] };
        }
        let (left, right) = data.split_at(middle(data));
        let (mut proof, other) = match old <= left.len() {
            true => (subproof(old, left, is_whole), root(right)),
            false => (subproof(old - left.len(), right, false), root(left)),
        };
        proof.push(other);
        proof
    }

    fn middle(data: &[Vec<u8>]) -> usize {
        usize::try_from(split(data.len() as u64)).expect("a part of a list in memory")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data(count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|at| at.to_le_bytes().to_vec()).collect()
    }

    fn tree(data: &[Vec<u8>]) -> Tree {
        Tree::of(data.iter().map(|one| leaf_hash(one)).collect())
    }

    #[test]
    fn every_small_tree_is_the_one_of_the_rfc() {
        let mut grown = Tree::default();
        for count in 0..70 {
            let data = data(count);
            let (tree, size) = (tree(&data), count as u64);
            assert_eq!(tree.root(), naive::root(&data), "{count}");
            assert_eq!(grown.root(), naive::root(&data), "{count}, grown");
            for at in 0..count {
                let path = tree.inclusion(at as u64, size).expect("the leaf is there");
                assert_eq!(path, naive::path(at, &data), "{at} of {count}");
                let leaf = leaf_hash(&data[at]);
                assert_eq!(root_of_inclusion(&leaf, at as u64, size, &path), Some(tree.root()), "{at} of {count}");
            }
            for old in 0..=count {
                let nodes = |level, place| tree.node(level, place);
                let path = consistency(&nodes, old as u64, size).expect("its nodes are there");
                assert_eq!(path, naive::proof(old, &data), "{old} to {count}");
                let old_root = naive::root(&data[..old]);
                assert!(is_consistent(old as u64, &old_root, size, &tree.root(), &path), "{old} to {count}");
            }
            grown.push(leaf_hash(&count.to_le_bytes()));
        }
    }

    #[test]
    fn the_known_vectors_of_certificate_transparency_hold() {
        // The eight leaves of the reference implementation (certificate-transparency/merkletree).
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let tree = Tree::of(leaves.iter().map(|one| leaf_hash(one)).collect());
        let root = |size| nhatle_event::json::hex(&tree.root_at(size).expect("so many leaves"));
        assert_eq!(root(0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(root(1), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(root(8), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }

    proptest! {
        #[test]
        fn a_proof_of_something_else_is_none(
            count in 1usize..200, at in 0usize..200, other in 0usize..200, flip in 0usize..2000, cut: bool,
        ) {
            let data = data(count);
            let (tree, size) = (tree(&data), count as u64);
            let (at, other) = (at % count, other % count);
            let path = tree.inclusion(at as u64, size).expect("the leaf is there");
            let comes_to = |leaf: usize, at: usize, path: &[Hash]| {
                root_of_inclusion(&leaf_hash(&data[leaf]), at as u64, size, path) == Some(tree.root())
            };
            prop_assert_eq!(comes_to(other, at, &path), other == at);
            prop_assert_eq!(comes_to(at, other, &path), other == at);
            let mut altered = path.clone();
            if cut {
                altered.pop();
            } else if !altered.is_empty() {
                let step = flip % altered.len();
                altered[step][flip % 32] ^= 1;
            }
            prop_assert_eq!(comes_to(at, at, &altered), altered == path);
            altered.push([0; 32]);
            prop_assert!(!comes_to(at, at, &altered));
        }

        #[test]
        fn a_tree_that_was_written_anew_is_not_consistent(old in 1usize..120, more in 0usize..80, at in 0usize..120) {
            let before = data(old);
            let mut after = data(old + more);
            after[at % old].push(7);
            let (before, after) = (tree(&before), tree(&after));
            let nodes = |level, place| after.node(level, place);
            let path = consistency(&nodes, old as u64, after.len()).expect("its nodes are there");
            prop_assert!(!is_consistent(old as u64, &before.root(), after.len(), &after.root(), &path));
            prop_assert!(!is_consistent(after.len() + 1, &before.root(), after.len(), &after.root(), &path));
        }

        #[test]
        fn no_proof_panics(old: u64, new: u64, index: u64, path: Vec<[u8; 32]>) {
            let root = empty_root();
            let long_enough = path.len() as u64 >= old.min(new).min(1);
            prop_assert!(!is_consistent(old, &root, new, &root, &path) || long_enough || old == new);
            prop_assert!(root_of_inclusion(&root, index, new, &path).is_none() || index < new);
        }
    }
}
