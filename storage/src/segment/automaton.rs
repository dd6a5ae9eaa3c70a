//! The automaton of a term dictionary: terms in the order of their bytes, each giving its number. In: such terms. Out: the
//! bytes that `tantivy-fst` 0.5 (format 2) writes for them, which is what Tantivy reads. Twin in tests: that crate, byte
//! for byte.
//!
//! Its builder keeps each node it has written, to write equal ends of terms once, in a table of some megabytes, and asks it
//! for every byte of every term that the term after it does not share. Here a node is told by a hash and by its place, where
//! it is read back; and nobody is asked about a node that leads to a new one: no node known before can be equal to it.
//! Because values are numbers that rise, the output of a node that ends a term is always zero.
//!
//! ```text
//! 2: u64 | 0: u64 | nodes, each before those that lead to it | number of terms: u64 | address of the root: u64
//! node with one way, to the node just before it:   [byte] 11iiiiii
//! node with one way:                               [number] distance sizes [byte] 10iiiiii
//! any other:  numbers, distances, bytes, each the last way first, [index of 256] sizes [count] 0fcccccc
//! ```
//! The address of a node is that of its last byte. `i` is one more than the place of the byte in [`COMMON`], or 0 where the
//! byte stands before; `f` says that a term ends here; `c` counts the ways, or is 0 where the count stands before. `sizes`
//! are the bytes of a distance and of a number, in four bits each. The address 0 is that of a node at which a term
//! ends and nothing goes on.

/// The bytes that have a number of their own.
const COMMON: &[u8; 63] = b"te/oasripcnw.hlm-du012g=:bf3y5&_4v9678k%?xCDASFIBEjPTzRNM+LOqHG";
/// For each byte the number it has, or 0.
const NUMBER_OF: [u8; 256] = {
    let mut numbers = [0; 256];
    let mut at = 0;
    while at < COMMON.len() {
        numbers[COMMON[at] as usize] = at as u8 + 1;
        at += 1;
    }
    numbers
};
/// From so many ways on a node has an index of them.
const INDEXED_FROM: usize = 33;
/// How many places the table of known nodes has, each for two.
const PLACES: usize = 10_000;
const FNV_BASIS: u64 = 14_695_981_039_346_656_037;
const FNV_PRIME: u64 = 1_099_511_628_211;
/// The node that ends a term and from which nothing goes on.
const END: u32 = 0;
/// The address of no node.
const NOWHERE: u32 = 1;

/// Makes an automaton, one term after the other.
pub struct Automaton {
    bytes: Vec<u8>,
    known: Vec<[Known; 2]>,
    last_term: Vec<u8>,
    term_count: u64,
    /// The nodes on the way of the last term up to where it left that of the term before; below them there is one way
    /// at each.
    open: Vec<Node>,
    /// How many of `open` are in use.
    depth: usize,
    /// The address of the node written last.
    last: u32,
}

/// A node in the table; address 0 is none.
#[derive(Clone, Copy, Default)]
struct Known {
    hash: u32,
    address: u32,
}

/// A node to which ways may be added yet.
#[derive(Default)]
struct Node {
    is_final: bool,
    ways: Vec<Way>,
    /// The way that the last term goes on.
    byte: u8,
    number: u64,
    /// The numbers on its way up to here.
    before: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Way {
    byte: u8,
    number: u64,
    to: u32,
}

/// The address of a node, and whether it was written just now.
#[derive(Clone, Copy)]
struct Made {
    address: u32,
    is_new: bool,
}

impl Default for Automaton {
    fn default() -> Automaton {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&2u64.to_le_bytes());
        bytes.extend_from_slice(&0u64.to_le_bytes());
        Automaton {
            bytes,
            known: vec![[Known::default(); 2]; PLACES],
            last_term: Vec::new(),
            term_count: 0,
            open: vec![Node::default()],
            depth: 1,
            last: NOWHERE,
        }
    }
}

impl Automaton {
    /// Adds the term behind all others; its number is how many were before it.
    ///
    /// # Errors
    /// It does not stand behind the others; there are too many bytes; the reason.
    pub fn add(&mut self, term: &[u8]) -> Result<(), String> {
        let shared = shared_front(&self.last_term, term);
        let is_behind = match term.get(shared) {
            // The only one that stands before all others.
            None => self.term_count == 0,
            Some(byte) => self.last_term.get(shared).is_none_or(|last| last < byte),
        };
        if !is_behind {
            return Err("a term that does not stand behind the others".to_owned());
        }
        let number = self.term_count;
        self.term_count += 1;
        if term.is_empty() {
            self.open[0].is_final = true;
            return Ok(());
        }
        let written = self.close(shared)?;
        self.reach(shared);
        let node = &mut self.open[shared];
        if let Some(made) = written {
            node.ways.push(Way { byte: node.byte, number: node.number, to: made.address });
        }
        (node.byte, node.number) = (term[shared], number - node.before);
        self.last_term.truncate(shared);
        self.last_term.extend_from_slice(&term[shared..]);
        Ok(())
    }

    /// The bytes.
    ///
    /// # Errors
    /// There are too many.
    pub fn finish(mut self) -> Result<Vec<u8>, String> {
        let written = self.close(0)?;
        let root = &mut self.open[0];
        let is_new = written.is_some_and(|made| made.is_new);
        if let Some(made) = written {
            root.ways.push(Way { byte: root.byte, number: root.number, to: made.address });
        }
        let root = std::mem::take(root);
        let address = self.node(&root, is_new)?.address;
        self.bytes.extend_from_slice(&self.term_count.to_le_bytes());
        self.bytes.extend_from_slice(&u64::from(address).to_le_bytes());
        Ok(self.bytes)
    }

    /// Writes the nodes of the last term that stand more than `front` bytes deep; gives the topmost, `None` where there
    /// is none.
    fn close(&mut self, front: usize) -> Result<Option<Made>, String> {
        if self.last_term.len() <= front {
            return Ok(None);
        }
        let mut made = Made { address: END, is_new: false };
        let last_term = std::mem::take(&mut self.last_term);
        let from = self.depth.max(front + 1);
        for byte in last_term.get(from..).unwrap_or_default().iter().rev() {
            made = self.link(*byte, made)?;
        }
        self.last_term = last_term;
        while front + 1 < self.depth {
            self.depth -= 1;
            let mut node = std::mem::take(&mut self.open[self.depth]);
            node.ways.push(Way { byte: node.byte, number: node.number, to: made.address });
            made = self.node(&node, made.is_new)?;
            node.ways.clear();
            self.open[self.depth] = node;
        }
        Ok(Some(made))
    }

    /// Opens the nodes of the last term down to this depth.
    fn reach(&mut self, depth: usize) {
        while self.depth <= depth {
            if self.open.len() == self.depth {
                self.open.push(Node::default());
            }
            let before = self.open[self.depth - 1].before + self.open[self.depth - 1].number;
            let byte = self.last_term.get(self.depth).copied();
            let node = &mut self.open[self.depth];
            node.before = before;
            (node.is_final, node.byte, node.number) = (byte.is_none(), byte.unwrap_or(0), 0);
            self.depth += 1;
        }
    }

    /// A node with one way, without a number, at which no term ends.
    fn link(&mut self, byte: u8, to: Made) -> Result<Made, String> {
        let way = Way { byte, number: 0, to: to.address };
        let hash = hash(false, &[way]);
        if !to.is_new
            && let Some(address) = self.find(hash, false, &[way])
        {
            return Ok(Made { address, is_new: false });
        }
        self.put_single(way)?;
        Ok(self.learn(hash))
    }

    fn node(&mut self, node: &Node, is_last_new: bool) -> Result<Made, String> {
        if node.is_final && node.ways.is_empty() {
            return Ok(Made { address: END, is_new: false });
        }
        let hash = hash(node.is_final, &node.ways);
        if !is_last_new && let Some(address) = self.find(hash, node.is_final, &node.ways) {
            return Ok(Made { address, is_new: false });
        }
        match node.ways.as_slice() {
            [way] if !node.is_final => self.put_single(*way)?,
            ways => self.put_several(node.is_final, ways)?,
        }
        Ok(self.learn(hash))
    }

    /// The address of an equal node, which is then the one last asked for of its place.
    fn find(&mut self, hash: u64, is_final: bool, ways: &[Way]) -> Option<u32> {
        let (place, short) = place(hash);
        let of = self.known[place];
        let at = of
            .iter()
            .position(|known| known.address != 0 && known.hash == short && self.is_at(known.address, is_final, ways))?;
        if at == 1 {
            self.known[place].swap(0, 1);
        }
        Some(of[at].address)
    }

    /// Remembers the node just written; the one of its place that was asked for longest ago is forgotten.
    fn learn(&mut self, hash: u64) -> Made {
        let (place, short) = place(hash);
        let of = &mut self.known[place];
        *of = [Known { hash: short, address: self.last }, of[0]];
        Made { address: self.last, is_new: true }
    }

    fn put_single(&mut self, way: Way) -> Result<(), String> {
        let begin = self.here()?;
        let number = NUMBER_OF[usize::from(way.byte)];
        let is_next = way.to == self.last && way.number == 0;
        if !is_next {
            let (distance, number_bytes) =
                (distance(begin, way.to), if way.number == 0 { 0 } else { size(way.number) });
            put(&mut self.bytes, way.number, number_bytes);
            put(&mut self.bytes, distance, size(distance));
            self.bytes.push(size(distance) << 4 | number_bytes);
        }
        if number == 0 {
            self.bytes.push(way.byte);
        }
        self.bytes.push(if is_next { 0b1100_0000 } else { 0b1000_0000 } | number);
        self.last = self.here()? - 1;
        Ok(())
    }

    fn put_several(&mut self, is_final: bool, ways: &[Way]) -> Result<(), String> {
        let begin = self.here()?;
        let to_bytes = ways.iter().map(|way| size(distance(begin, way.to))).max().unwrap_or(0);
        let has_numbers = ways.iter().any(|way| way.number != 0);
        let number_bytes = if has_numbers { ways.iter().map(|way| size(way.number)).max().unwrap_or(1) } else { 0 };
        if is_final {
            put(&mut self.bytes, 0, number_bytes);
        }
        ways.iter().rev().for_each(|way| put(&mut self.bytes, way.number, number_bytes));
        ways.iter().rev().for_each(|way| put(&mut self.bytes, distance(begin, way.to), to_bytes));
        self.bytes.extend(ways.iter().rev().map(|way| way.byte));
        if INDEXED_FROM <= ways.len() {
            let mut index = [255u8; 256];
            (0u8..=255).zip(ways).for_each(|(at, way)| index[usize::from(way.byte)] = at);
            self.bytes.extend_from_slice(&index);
        }
        self.bytes.push(to_bytes << 4 | number_bytes);
        let count = match u8::try_from(ways.len()) {
            Ok(count @ 1..=63) => count,
            // A count of 256 is written as 1: no node has one way and its count before it.
            count => {
                self.bytes.push(count.unwrap_or(1));
                0
            }
        };
        self.bytes.push(u8::from(is_final) << 6 | count);
        self.last = self.here()? - 1;
        Ok(())
    }

    fn here(&self) -> Result<u32, String> {
        u32::try_from(self.bytes.len()).map_err(|_past| "a dictionary of more than 4 GiB".to_owned())
    }

    /// The node written at this address is this one.
    fn is_at(&self, address: u32, is_final: bool, ways: &[Way]) -> bool {
        let mut back = Back { bytes: &self.bytes, at: address as usize + 1 };
        let state = back.byte();
        if state & 0b1000_0000 == 0 {
            return self.is_several_at(back, state, is_final, ways);
        }
        let [way] = ways else { return false };
        let byte = match state & 0b11_1111 {
            0 => back.byte(),
            number => COMMON[usize::from(number) - 1],
        };
        if is_final || byte != way.byte {
            return false;
        }
        if state & 0b0100_0000 != 0 {
            return way.number == 0 && way.to as usize + 1 == back.at;
        }
        let sizes = back.byte();
        let (to, number) = (back.number(sizes >> 4), back.number(sizes & 15));
        way.number == number && distance(back.at as u32, way.to) == to
    }

    fn is_several_at(&self, mut back: Back<'_>, state: u8, is_final: bool, ways: &[Way]) -> bool {
        let count = match state & 0b11_1111 {
            0 => match back.byte() {
                1 => 256,
                count => usize::from(count),
            },
            count => usize::from(count),
        };
        if count != ways.len() || is_final != (state & 0b0100_0000 != 0) {
            return false;
        }
        let sizes = back.byte();
        if INDEXED_FROM <= count {
            back.at -= 256;
        }
        if !ways.iter().all(|way| way.byte == back.byte()) {
            return false;
        }
        let (to_bytes, number_bytes) = (usize::from(sizes >> 4), usize::from(sizes & 15));
        let begin = back.at - count * (to_bytes + number_bytes) - if is_final { number_bytes } else { 0 };
        ways.iter().all(|way| distance(begin as u32, way.to) == back.number(sizes >> 4))
            && ways.iter().all(|way| way.number == back.number(sizes & 15))
    }
}

/// Bytes, the last first.
struct Back<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Back<'_> {
    fn byte(&mut self) -> u8 {
        self.at -= 1;
        self.bytes[self.at]
    }

    fn number(&mut self, bytes: u8) -> u64 {
        (0..bytes).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }
}

fn shared_front(one: &[u8], other: &[u8]) -> usize {
    let mut at = 0;
    while let (Some(one), Some(other)) = (one[at..].first_chunk(), other[at..].first_chunk()) {
        let differs = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if differs != 0 {
            return at + differs.trailing_zeros() as usize / 8;
        }
        at += size_of::<u64>();
    }
    at + one[at..].iter().zip(&other[at..]).take_while(|(one, other)| one == other).count()
}

/// How far before a node the node at an address is; nothing for the end of terms. Compared with what is written it may
/// be one that is written behind it: then it is more than any distance written there.
fn distance(begin: u32, to: u32) -> u64 {
    if to == END { 0 } else { u64::from(begin.wrapping_sub(to)) }
}

/// How many bytes a number takes; at least one.
fn size(number: u64) -> u8 {
    (71 - (number | 1).leading_zeros() as u8) / 8
}

fn put(out: &mut Vec<u8>, number: u64, bytes: u8) {
    out.extend_from_slice(&number.to_le_bytes()[..usize::from(bytes)]);
}

/// FNV-1a over what a node is, as `tantivy-fst` reckons it.
fn hash(is_final: bool, ways: &[Way]) -> u64 {
    let add = |hash: u64, number: u64| (hash ^ number).wrapping_mul(FNV_PRIME);
    let begin = add(add(FNV_BASIS, u64::from(is_final)), 0);
    ways.iter().fold(begin, |hash, way| add(add(add(hash, u64::from(way.byte)), way.number), u64::from(way.to)))
}

fn place(hash: u64) -> (usize, u32) {
    ((hash % PLACES as u64) as usize, (hash >> 32) as u32)
}
