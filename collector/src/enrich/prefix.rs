//! Ranges of addresses to values: the narrowest range that holds an address, and the wider ones around it.
//!
//! In: ranges with a value each, in any order, also the same range twice. Out: for an address the values of all ranges
//! that hold it, narrowest first. The tree of prefixes is laid flat: where one range ends and another begins is a step
//! in a sorted list, so that a look is one binary search and an IPv4 range takes some 24 bytes. A million of them is
//! built in a second and never changed. Total: an address that no range holds has no values.

use std::net::IpAddr;

use super::Cidr;

/// No node: between ranges, and above the widest.
const NONE: u32 = u32::MAX;
/// IPv4 steps are found by the upper 16 bits of the address first.
const TOPS: usize = 1 << 16;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct PrefixMap {
    /// The value of a range, and the range around it.
    nodes: Vec<(u32, u32)>,
    v4: Steps<u32>,
    /// For the upper 16 bits of an IPv4 address how many steps begin below; empty where there are few.
    tops: Vec<u32>,
    v6: Steps<u128>,
}

/// From each start to before the next one an address is in the range of this node.
#[derive(Clone, Debug, Default)]
struct Steps<A> {
    starts: Vec<A>,
    nodes: Vec<u32>,
}

impl PrefixMap {
    /// The map of these ranges.
    pub fn new(ranges: impl IntoIterator<Item = (Cidr, u32)>) -> PrefixMap {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (range, value) in ranges {
            let into = if range.network.is_ipv4() { &mut v4 } else { &mut v6 };
            let (first, last) = range.bounds();
            into.push((first, range.prefix, last, value));
        }
        let mut map = PrefixMap::default();
        // What ends with the last IPv4 address has its end past all of them.
        let steps = laid_flat(v4, &mut map.nodes);
        map.v4.starts = steps.starts.into_iter().map_while(|start| u32::try_from(start).ok()).collect();
        map.v4.nodes = steps.nodes.into_iter().take(map.v4.starts.len()).collect();
        map.v6 = laid_flat(v6, &mut map.nodes);
        if TOPS / 16 < map.v4.starts.len() {
            let below = |top: usize| {
                map.v4.starts.partition_point(|start| (*start >> 16) < u32::try_from(top).unwrap_or(u32::MAX))
            };
            map.tops = (0..=TOPS).map(|top| u32::try_from(below(top)).unwrap_or(u32::MAX)).collect();
        }
        map
    }

    /// The values of the ranges that hold the address, narrowest first; an IPv4 address mapped into IPv6 is IPv4.
    pub fn find(&self, address: IpAddr) -> impl Iterator<Item = u32> + '_ {
        let mut node = match address.to_canonical() {
            IpAddr::V4(address) => self.node_of_v4(address.to_bits()),
            IpAddr::V6(address) => self.v6.node(address.to_bits(), 0, self.v6.starts.len()),
        };
        std::iter::from_fn(move || {
            let (value, around) = *self.nodes.get(usize::try_from(node).ok()?)?;
            node = around;
            Some(value)
        })
    }

    fn node_of_v4(&self, address: u32) -> u32 {
        let top = usize::try_from(address >> 16).unwrap_or(0);
        let bound = |at: usize| self.tops.get(at).map(|below| usize::try_from(*below).unwrap_or(0));
        match (bound(top), bound(top + 1)) {
            (Some(low), Some(high)) => self.v4.node(address, low, high),
            _ => self.v4.node(address, 0, self.v4.starts.len()),
        }
    }

    /// How many ranges there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.nodes.capacity() * 8
            + self.v4.starts.capacity() * 4
            + self.v6.starts.capacity() * 16
            + (self.v4.nodes.capacity() + self.v6.nodes.capacity() + self.tops.capacity()) * 4
    }
}

impl<A: Copy + Ord> Steps<A> {
    /// The node of the last step that begins at or before the address, looked for among the steps from `low` to before
    /// `high`; the one before `low` counts where none of them does.
    fn node(&self, address: A, low: usize, high: usize) -> u32 {
        let among = self.starts.get(low..high).unwrap_or_default();
        let after = low + among.partition_point(|start| *start <= address);
        after.checked_sub(1).and_then(|at| self.nodes.get(at)).copied().unwrap_or(NONE)
    }
}

/// Lays ranges (first, prefix, last, value) flat. Prefixes either contain each other or have nothing in common; the
/// same range again stands inside the first.
fn laid_flat(mut ranges: Vec<(u128, u32, u128, u32)>, nodes: &mut Vec<(u32, u32)>) -> Steps<u128> {
    ranges.sort_unstable_by_key(|(first, prefix, _, value)| (*first, *prefix, *value));
    let mut steps = Steps { starts: Vec::with_capacity(ranges.len() * 2), nodes: Vec::with_capacity(ranges.len() * 2) };
    let mut open: Vec<(u128, u32)> = Vec::new();
    let mut begin = |start: u128, node: u32| {
        if steps.starts.last() == Some(&start) {
            steps.starts.pop();
            steps.nodes.pop();
        }
        if steps.nodes.last().copied().unwrap_or(NONE) != node {
            steps.starts.push(start);
            steps.nodes.push(node);
        }
    };
    let close = |open: &mut Vec<(u128, u32)>, before: Option<u128>, begin: &mut dyn FnMut(u128, u32)| {
        while let Some((last, _)) = open.last().copied().filter(|(last, _)| before.is_none_or(|first| *last < first)) {
            open.pop();
            if let Some(next) = last.checked_add(1) {
                begin(next, open.last().map_or(NONE, |(_, around)| *around));
            }
        }
    };
    for (first, _, last, value) in ranges {
        close(&mut open, Some(first), &mut begin);
        let node = u32::try_from(nodes.len()).unwrap_or(NONE);
        nodes.push((value, open.last().map_or(NONE, |(_, around)| *around)));
        begin(first, node);
        open.push((last, node));
    }
    close(&mut open, None, &mut begin);
    steps.starts.shrink_to_fit();
    steps.nodes.shrink_to_fit();
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The plain twin: every range is asked.
    fn plain(ranges: &[Cidr], address: IpAddr) -> Vec<u32> {
        let mut found: Vec<(u32, u32)> = (0..)
            .zip(ranges)
            .filter(|(_, range)| range.contains(address))
            .map(|(at, range)| (range.prefix, at))
            .collect();
        found.sort_by_key(|(prefix, at)| (std::cmp::Reverse(*prefix), std::cmp::Reverse(*at)));
        found.into_iter().map(|(_, at)| at).collect()
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        // Few enough bits vary that ranges meet, at both ends of the numbers too.
        let v4 = (prop_oneof![Just(0u32), Just(0x0a01_0000), Just(0xffff_ff00)], 0u32..0x300)
            .prop_map(|(high, low)| IpAddr::from(high.wrapping_add(low).to_be_bytes()));
        let v6 = (prop_oneof![Just(0u128), Just(0x2001_0db8u128 << 96), Just(u128::MAX << 9)], 0u128..0x200)
            .prop_map(|(high, low)| IpAddr::from((high | low).to_be_bytes()));
        prop_oneof![3 => v4, 1 => v6]
    }

    proptest! {
        #[test]
        fn ranges_are_found_as_by_asking_each(
            ranges in proptest::collection::vec((address(), 0u32..=128), 0..60),
            asked in proptest::collection::vec(address(), 1..60),
        ) {
            let width = |address: &IpAddr| if address.is_ipv4() { 32 } else { 128 };
            let ranges: Vec<Cidr> = ranges
                .iter()
                .map(|(address, prefix)| format!("{address}/{}", prefix % (width(address) + 1)))
                .map(|text| text.parse().expect("is a range"))
                .collect();
            let map = PrefixMap::new(ranges.iter().copied().zip(0..));
            for address in asked.into_iter().chain(ranges.iter().map(|range| range.network)) {
                prop_assert_eq!(map.find(address).collect::<Vec<_>>(), plain(&ranges, address), "{}", address);
            }
        }
    }

    #[test]
    fn many_ranges_are_found_by_their_upper_bits_too() {
        let mut state = 7u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state
        };
        let ranges: Vec<Cidr> = (0..8_000)
            .map(|_| format!("{}/{}", IpAddr::from(next().to_be_bytes()), 12 + next() % 21).parse().expect("a range"))
            .collect();
        let map = PrefixMap::new(ranges.iter().copied().zip(0..));
        assert!(!map.tops.is_empty() && map.len() == ranges.len());
        for _ in 0..2_000 {
            let address = IpAddr::from(next().to_be_bytes());
            assert_eq!(map.find(address).collect::<Vec<_>>(), plain(&ranges, address), "{address}");
        }
        for range in &ranges {
            assert!(map.find(range.network).any(|at| ranges.get(at as usize) == Some(range)));
        }
    }
}
