//! The spool on a simulated disk: torn writes, lost pages, power cuts, full disks, by seed; and damage.
//!
//! The model knows what was acknowledged to the inputs. Whatever happens: of that, everything is read again in order and
//! once, or its numbers are named as a gap; and the places never say more than what is there.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use nhatle_collector::listen::Keep;
use nhatle_collector::wire;
use nhatle_event::{Record, Timestamp};
use nhatle_storage::disk::Disk as _;
use nhatle_storage::disk::sim::{Random, SimDisk};

use super::spool::{Acknowledged, LANES, Lost, Spool, SpoolError};

const NOW: Timestamp = Timestamp(1_770_091_506_000_000_000);

fn open(disk: &SimDisk, bytes_max: u64) -> Result<Spool, SpoolError> {
    Spool::open(Arc::new(disk.clone()), bytes_max, "e1")
}

fn records(lane: u32, from: u64, count: u64, bytes: usize) -> Vec<Record> {
    let record = |number| Record::new(format!("{lane} {number:08} {}", "x".repeat(bytes)).into_bytes(), "test", NOW);
    (from..from + count).map(record).collect()
}

fn keep(lane: u32, number: u64) -> Vec<Keep> {
    vec![Keep { key: format!("file/{lane}"), value: number.to_string() }]
}

/// The city: what it has of each lane under each epoch, as it decides by numbers alone.
#[derive(Default)]
struct City {
    durable: BTreeMap<(String, u32), (u64, u32)>,
    texts: BTreeMap<u32, Vec<String>>,
    gaps: Vec<(u32, u64, u64)>,
}

impl City {
    /// Takes a request; the answer may get lost on the way.
    fn take(&mut self, spool: &Spool, sent: &super::spool::Ready) -> (u64, Option<u32>) {
        let begins_at = spool.begins_at(sent.lane);
        let row = self.durable.entry((spool.epoch().to_owned(), sent.lane)).or_insert((begins_at - 1, 0));
        let last = sent.first + sent.count - 1;
        if row.0 + 1 < sent.first {
            self.gaps.push((sent.lane, row.0 + 1, sent.first - 1));
            row.0 = sent.first - 1;
        }
        if row.0 < last {
            let all = sent.blocks.iter().flat_map(|block| wire::decode_block(block).unwrap());
            let new = all.zip(sent.first..).filter(|(_, number)| row.0 < *number);
            let texts = new.map(|(record, _)| String::from_utf8_lossy(&record.bytes[..10]).into_owned());
            self.texts.entry(sent.lane).or_default().extend(texts);
            *row = (last, sent.ends.last().map_or(0, |(_, crc)| *crc));
        }
        (row.0, Some(row.1).filter(|crc| *crc != 0))
    }
}

fn send_all(spool: &mut Spool, city: &mut City) {
    for lane in 1..=LANES as u32 {
        loop {
            let sent = spool.read(lane, 4096, 50, NOW).unwrap();
            let (durable_to, crc) = city.take(spool, &sent);
            assert_eq!(spool.acknowledge(&sent, durable_to, crc, "e2", NOW).unwrap(), Acknowledged::Moved);
            if sent.count == 0 {
                break;
            }
        }
    }
}

#[test]
fn records_are_read_in_order_by_lane_and_once() {
    let disk = SimDisk::new(1);
    let mut spool = open(&disk, 1 << 20).unwrap();
    for (lane, from, count) in [(1, 1, 10), (3, 1, 5), (1, 11, 90)] {
        spool.append(lane, &records(lane, from, count, 300), &keep(lane, from + count), NOW).unwrap();
    }
    assert_eq!(spool.read(1, 4096, 50, NOW).unwrap().count, 0, "what is not durable is not sent");
    spool.sync().unwrap();
    let mut city = City::default();
    send_all(&mut spool, &mut city);
    let expected = |lane: u32, count: u64| -> Vec<String> { (1..=count).map(|n| format!("{lane} {n:08}")).collect() };
    assert_eq!(city.texts[&1], expected(1, 100));
    assert_eq!(city.texts[&3], expected(3, 5));
    assert_eq!((spool.depth().records, spool.gaps().len(), city.gaps.len()), (0, 0, 0));
    spool.keep_state().unwrap();
    drop(spool);
    let mut spool = open(&disk, 1 << 20).unwrap();
    assert_eq!(spool.read(1, 4096, 50, NOW).unwrap().first, 101);
    assert_eq!(spool.place("file/1").as_deref(), Some("101"));
}

#[test]
fn the_lowest_lane_loses_its_oldest_first_and_the_range_is_exact() {
    let disk = SimDisk::new(2);
    let mut spool = open(&disk, 1 << 20).unwrap();
    for step in 0..8 {
        for lane in [1, 3] {
            spool.append(lane, &records(lane, step * 100 + 1, 100, 1000), &keep(lane, step), NOW).unwrap();
        }
    }
    spool.sync().unwrap();
    assert!(spool.gaps().iter().all(|gap| gap.lane == 3 && gap.reason == Lost::Full), "{:?}", spool.gaps());
    // Of the highest lane alone there is more than fits: then its own oldest goes; a lower one takes nothing from it.
    spool.append(1, &records(1, 801, 400, 1000), &[], NOW).unwrap();
    assert!(matches!(spool.append(3, &records(3, 801, 500, 1000), &[], NOW), Err(SpoolError::Full)));
    spool.append(1, &records(1, 1201, 400, 1000), &[], NOW).unwrap();
    spool.sync().unwrap();
    assert!(spool.depth().bytes <= 1 << 20);
    let told: Vec<_> = spool.gaps().to_vec();
    let mut city = City::default();
    send_all(&mut spool, &mut city);
    for gap in &told {
        assert!(city.gaps.contains(&(gap.lane, gap.first, gap.last)), "{gap:?} {:?}", city.gaps);
    }
    let lost: u64 = told.iter().filter(|gap| gap.lane == 1).map(|gap| gap.last - gap.first + 1).sum();
    assert_eq!(city.texts[&1].len() as u64 + lost, 1600);
    assert_eq!(city.texts[&1].last().unwrap(), "1 00001600", "the newest stays");
    assert_eq!(spool.shed[0], lost);
    spool.gaps_told(&told).unwrap();
    assert!(open_again(spool, &disk).gaps().is_empty());
}

fn open_again(spool: Spool, disk: &SimDisk) -> Spool {
    drop(spool);
    open(disk, 1 << 20).unwrap()
}

#[test]
fn a_disk_that_is_full_for_a_moment_sheds_nothing() {
    let disk = SimDisk::new(4);
    let mut spool = open(&disk, 1 << 20).unwrap();
    spool.append(1, &records(1, 1, 20, 300), &keep(1, 20), NOW).unwrap();
    spool.sync().unwrap();
    let fill = || disk.fail_at(disk.calls(), ErrorKind::StorageFull);
    let later = |seconds: i64| NOW.plus_nanos(seconds * 1_000_000_000);
    for seconds in [0, 3, 9] {
        fill();
        let refused = spool.append(1, &records(1, 21, 20, 300), &keep(1, 40), later(seconds));
        assert!(matches!(refused, Err(SpoolError::Full)), "after {seconds} s: {refused:?}");
    }
    assert_eq!(spool.shed, [0; LANES]);
    fill();
    spool.append(1, &records(1, 21, 20, 300), &keep(1, 40), later(10)).unwrap();
    assert_eq!(spool.shed[0], 20, "what is full for longer sheds the oldest");
    fill();
    spool.append(1, &records(1, 41, 20, 300), &keep(1, 60), later(11)).unwrap();
    assert_eq!(spool.shed[0], 40, "and does not wait again for each batch");
    fill();
    let refused = spool.append(1, &records(1, 61, 20, 300), &keep(1, 80), later(80));
    assert!(
        matches!(refused, Err(SpoolError::Full)),
        "it had room for a minute, so it is waited for again: {refused:?}"
    );
}

#[test]
fn a_spool_of_before_inputs_told_their_losses_goes_on() {
    let disk = SimDisk::new(3);
    let mut spool = open(&disk, 1 << 20).unwrap();
    spool.append(1, &records(1, 1, 30, 300), &keep(1, 30), NOW).unwrap();
    spool.sync().unwrap();
    spool.keep_state().unwrap();
    drop(spool);
    let mut state: serde_json::Value = serde_json::from_slice(&disk.read("spool.json").unwrap()).unwrap();
    assert!(state.as_object_mut().unwrap().remove("losses").is_some());
    disk.replace("spool.json", state.to_string().as_bytes()).unwrap();
    let mut spool = open(&disk, 1 << 20).unwrap();
    assert_eq!(spool.report(7).unwrap(), None, "nothing was dropped as far as it knows");
    let mut city = City::default();
    send_all(&mut spool, &mut city);
    assert_eq!((city.texts[&1].len(), city.gaps.len()), (30, 0));
    assert_eq!(spool.place("file/1").as_deref(), Some("30"));
}

#[test]
fn a_damaged_file_is_a_gap_and_the_rest_is_read() {
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let mut spool = open(&disk, 1 << 20).unwrap();
        for step in 0..10 {
            spool.append(2, &records(2, step * 20 + 1, 20, 800), &keep(2, step), NOW).unwrap();
            spool.sync().unwrap();
        }
        drop(spool);
        let mut random = Random(seed);
        let files: Vec<(String, usize)> = disk
            .image()
            .into_iter()
            .filter_map(|(path, bytes)| Some((path, bytes?.len())))
            .filter(|(path, _)| path.ends_with(".spool"))
            .collect();
        for _ in 0..3 {
            let (path, length) = &files[usize::try_from(random.below(files.len() as u64)).unwrap()];
            disk.flip(path, usize::try_from(random.below(*length as u64)).unwrap(), 3);
        }
        let mut spool = open(&disk, 1 << 20).unwrap();
        let mut city = City::default();
        send_all(&mut spool, &mut city);
        let texts = city.texts.remove(&2).unwrap_or_default();
        assert!(texts.is_sorted(), "seed {seed}: order is kept");
        let missing: Vec<u64> = (1..=200).filter(|n| !texts.contains(&format!("2 {n:08}"))).collect();
        // Damage at the very end is not to be told from a torn tail.
        let named = |n: &u64| city.gaps.iter().any(|(_, first, last)| (*first..=*last).contains(n));
        let tail = texts.last().map_or(0, |text| text[2..].parse::<u64>().unwrap());
        assert!(missing.iter().all(|n| named(n) || tail < *n), "seed {seed}: {missing:?} {:?}", city.gaps);
    }
}

#[test]
fn an_older_copy_of_the_spool_begins_a_new_epoch() {
    let disk = SimDisk::new(3);
    let mut spool = open(&disk, 1 << 20).unwrap();
    let mut city = City::default();
    spool.append(1, &records(1, 1, 10, 10), &[], NOW).unwrap();
    spool.sync().unwrap();
    send_all(&mut spool, &mut city);
    drop(spool);
    // The machine is set back to before anything was sent, and other things happen.
    for count in [5, 10, 30] {
        let disk = SimDisk::new(4);
        let mut spool = open(&disk, 1 << 20).unwrap();
        for from in (100..100 + count).step_by(5) {
            spool.append(1, &records(1, from, 5, 20), &[], NOW).unwrap();
        }
        spool.sync().unwrap();
        let mut texts = Vec::new();
        for _ in 0..20 {
            let sent = spool.read(1, 10, 5, NOW).unwrap();
            let (durable_to, crc) = city.take(&spool, &sent);
            spool.acknowledge(&sent, durable_to, crc, &format!("again{count}"), NOW).unwrap();
            texts.clone_from(&city.texts[&1]);
        }
        let missing: Vec<u64> = (100..100 + count).filter(|n| !texts.contains(&format!("1 {n:08}"))).collect();
        assert!(missing.is_empty(), "{count}: {missing:?}");
    }
}

/// What the world knows to be acknowledged to the inputs.
#[derive(Default)]
struct Model {
    appended: [u64; LANES],
    acknowledged: [u64; LANES],
}

/// Any order of appends, syncs, sends, lost answers, power cuts, kills and full disks.
#[test]
fn what_was_acknowledged_is_sent_once_or_named_as_lost() {
    let seeds = std::env::var("NHATLE_SEED").ok().and_then(|text| text.parse().ok());
    let seeds: Vec<u64> = seeds.map_or_else(|| (0..150).collect(), |seed| vec![seed]);
    for seed in seeds {
        let (disk, mut random) = (SimDisk::new(seed), Random(seed ^ 0xf0));
        let (mut model, mut city) = (Model::default(), City::default());
        let mut epochs = 1;
        let mut spool = Some(open(&disk, 1 << 20).unwrap());
        for _ in 0..120 {
            let Some(mut here) = spool.take().or_else(|| open(&disk, 1 << 20).ok()) else {
                disk.calm();
                continue;
            };
            // What an input may have: after a crash it goes on from its durable place.
            for lane in 1..=LANES as u32 {
                let place: u64 = here.place(&format!("file/{lane}")).map_or(0, |text| text.parse().unwrap());
                let acknowledged = model.acknowledged[lane as usize - 1];
                assert!(acknowledged <= place, "seed {seed}: a place went back in lane {lane}: {place} {acknowledged}");
                model.appended[lane as usize - 1] = place;
            }
            let mut is_broken = false;
            match random.below(12) {
                0..5 => {
                    for _ in 0..=random.below(3) {
                        let (lane, count) = (1 + random.below(3) as u32, 1 + random.below(60));
                        let from = model.appended[lane as usize - 1] + 1;
                        let size = usize::try_from(random.below(2500)).unwrap();
                        match here.append(lane, &records(lane, from, count, size), &keep(lane, from + count - 1), NOW) {
                            Ok(()) => model.appended[lane as usize - 1] += count,
                            Err(SpoolError::Full) => {}
                            Err(_) => is_broken = true,
                        }
                    }
                    match here.sync() {
                        Ok(()) if !is_broken => model.acknowledged = model.appended,
                        Ok(()) => {}
                        Err(_) => is_broken = true,
                    }
                }
                5..8 => {
                    let lane = 1 + random.below(3) as u32;
                    if let Ok(sent) = here.read(lane, 20_000, 100, NOW) {
                        let (durable_to, crc) = city.take(&here, &sent);
                        if !random.once_in(3) {
                            epochs += 1;
                            match here.acknowledge(&sent, durable_to, crc, &format!("e{epochs}"), NOW) {
                                Ok(Acknowledged::Moved) => {}
                                Ok(Acknowledged::Forked) => panic!("seed {seed}: there is one history"),
                                Err(_) => is_broken = true,
                            }
                        }
                    } else {
                        is_broken = true;
                    }
                }
                8 => {
                    disk.cut_power_at(disk.calls() + random.below(12));
                    spool = Some(here);
                    continue;
                }
                9 => {
                    drop(here);
                    disk.kill();
                    continue;
                }
                10 => disk.fail_at(disk.calls() + random.below(8), ErrorKind::StorageFull),
                _ => match random.below(2) {
                    0 => disk.set_capacity(disk.used_bytes() + random.below(100_000)),
                    _ => disk.calm(),
                },
            }
            if disk.is_off() {
                drop(here);
                disk.restart();
            } else if is_broken {
                drop(here);
                disk.kill();
            } else {
                spool = Some(here);
            }
        }
        drop(spool);
        disk.kill();
        disk.calm();
        if disk.is_off() {
            disk.restart();
        }
        let mut spool = open(&disk, 1 << 20).unwrap();
        send_all(&mut spool, &mut city);
        for lane in 1..=LANES as u32 {
            let texts = city.texts.remove(&lane).unwrap_or_default();
            let numbers: Vec<u64> = texts.iter().map(|text| text[2..].parse().unwrap()).collect();
            assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: lane {lane}: in order and once");
            let lost: u64 = city.gaps.iter().filter(|gap| gap.0 == lane).map(|gap| gap.2 - gap.1 + 1).sum();
            let acknowledged = model.acknowledged[lane as usize - 1];
            let there = numbers.len() as u64 + lost;
            assert!(
                acknowledged <= there,
                "seed {seed}: lane {lane}: {acknowledged} acknowledged, {there} sent or named"
            );
        }
    }
}
