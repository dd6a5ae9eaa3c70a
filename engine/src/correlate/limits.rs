//! How much a correlator may remember, and the counts of what it could not.

/// How much a correlator remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Groups of one correlation; past it the eighth that was touched longest ago goes.
    pub groups_max: usize,
    /// Hits of one group; past it the oldest go.
    pub hits_max: usize,
    /// Hits of one correlation; past it the groups touched longest ago go.
    pub correlation_hits_max: usize,
    /// Hits of all correlations together; past it the largest correlation gives way.
    pub total_hits_max: usize,
    /// How late an event may be and still find everything around it, measured against the clock of its source;
    /// more is allowed to sources that usually need more.
    pub lateness_ns: i64,
    /// The most that is allowed to any source.
    pub lateness_max_ns: i64,
    /// Seed of the hash of counted values; should be secret where senders are not trusted.
    pub hash_seed: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            groups_max: 100_000,
            // 32 bytes each.
            hits_max: 200_000,
            correlation_hits_max: 500_000,
            total_hits_max: 4_000_000,
            lateness_ns: 600_000_000_000,
            lateness_max_ns: 604_800_000_000_000,
            hash_seed: 0x6e68_6174_6c65_0001,
        }
    }
}

impl Limits {
    /// For files, which come in any order: no event is late, nothing is let go but for want of room.
    pub fn for_files() -> Limits {
        Limits { lateness_ns: i64::MAX, lateness_max_ns: i64::MAX, ..Limits::default() }
    }
}

/// What a correlator could not keep or take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Late hits that found some of what stood around them let go already.
    pub late_partial: u64,
    /// Those of them that were not taken, because the correlation could have fired wrongly.
    pub too_late: u64,
    /// Hits dropped from groups that were full.
    pub hits_dropped: u64,
    /// Groups dropped while they still counted.
    pub groups_dropped: u64,
}
