//! Following files: each line once and in order, through everything that happens to log files.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use nhatle_event::Timestamp;
use tempfile::TempDir;

use super::tail::{TailOptions, fits};
use super::tail_file::Tail;
use crate::frame::Origin;

const SECOND: i64 = 1_000_000_000;

/// Files, whoever follows them, and what is durable: records and places, as the pipeline would keep them.
struct World {
    folder: TempDir,
    pattern: &'static str,
    profile: Option<&'static str>,
    tail: Tail,
    places: String,
    records: Vec<String>,
    now: i64,
}

impl World {
    fn new(pattern: &'static str) -> World {
        World::with_profile(pattern, None)
    }

    fn with_profile(pattern: &'static str, profile: Option<&'static str>) -> World {
        let folder = tempfile::tempdir().unwrap();
        let tail = open(folder.path(), pattern, profile, "");
        World { folder, pattern, profile, tail, places: String::new(), records: Vec::new(), now: 1_000 * SECOND }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// One look, whose records become durable together with the places.
    fn look(&mut self) -> usize {
        self.now += 2 * SECOND;
        let found = self.tail.look(Timestamp(self.now));
        let count = found.len();
        for one in found {
            self.places = self.tail.places_with(one.file, &one.place);
            let text = |record: &nhatle_event::Record| String::from_utf8_lossy(&record.bytes).into_owned();
            self.records.extend(one.records.iter().map(text));
            self.tail.moved(one.file, one.place);
        }
        count
    }

    fn look_until_quiet(&mut self) {
        let mut empty = 0;
        while empty < 3 {
            empty = if self.look() > 0 { 0 } else { empty + 1 };
        }
    }

    /// A look that is lost with the process, and a start from what is durable.
    fn crash(&mut self) {
        self.now += 2 * SECOND;
        drop(self.tail.look(Timestamp(self.now)));
        self.tail = open(self.folder.path(), self.pattern, self.profile, &self.places);
    }

    #[track_caller]
    fn check(&mut self, expected: &[&str]) {
        self.look_until_quiet();
        assert_eq!(self.records, expected);
    }
}

#[expect(clippy::disallowed_methods, reason = "as logrotate does it")]
fn rename(from: PathBuf, to: PathBuf) -> std::io::Result<()> {
    fs::rename(from, to)
}

fn open(folder: &Path, pattern: &str, profile: Option<&'static str>, places: &str) -> Tail {
    let mut origin = Origin::new("file");
    origin.profile = profile.map(Into::into);
    Tail::new(TailOptions { path: folder.join(pattern), origin, record_bytes_max: 4096 }, places).unwrap()
}

#[test]
fn a_line_without_its_end_waits_for_it() {
    let mut world = World::new("a.log");
    world.append("a.log", "one\ntwo\nthr");
    world.check(&["one", "two"]);
    world.crash();
    world.append("a.log", "ee\r\n\n");
    world.check(&["one", "two", "three"]);
}

#[test]
fn a_renamed_file_is_read_to_its_end_and_the_new_one_from_its_start() {
    let mut world = World::new("a.log");
    world.append("a.log", "one\n");
    world.check(&["one"]);
    world.append("a.log", "two\n");
    rename(world.path("a.log"), world.path("a.log.1")).unwrap();
    // The writer has it open still, and then ends in the middle of a line.
    world.append("a.log.1", "three\nfo");
    world.append("a.log", "five\n");
    // Whether the last line goes on is not known for a while.
    world.check(&["one", "two", "three", "five", "fo"]);
    world.now += 70 * SECOND;
    world.check(&["one", "two", "three", "five", "fo"]);
    assert_eq!(world.places.lines().count(), 2, "places of what was let go are dropped with the next batch");
    world.append("a.log", "six\n");
    world.look_until_quiet();
    assert_eq!(world.places.lines().count(), 1);
}

#[test]
fn what_was_rotated_while_nobody_looked_is_found_again() {
    for pattern in ["a.log", "a.log*"] {
        let mut world = World::new(pattern);
        world.append("a.log", "one\n");
        world.check(&["one"]);
        world.append("a.log", "two\n");
        world.crash();
        rename(world.path("a.log"), world.path("a.log.1")).unwrap();
        rename(world.path("a.log.1"), world.path("a.log.2")).unwrap();
        world.append("a.log", "three\n");
        world.append("a.log.1.gz", "\u{1f}\u{8b}packed\n");
        world.look_until_quiet();
        world.records.sort();
        assert_eq!(world.records, ["one", "three", "two"], "{pattern}");
    }
}

#[test]
fn an_emptied_file_is_read_from_its_start_and_its_copy_only_where_it_was_not() {
    let long = "x".repeat(200);
    for pattern in ["a.log", "a.log*"] {
        for is_crashed in [false, true] {
            let mut world = World::new(pattern);
            world.append("a.log", &format!("{long}\n"));
            world.look_until_quiet();
            world.append("a.log", "two\n");
            fs::copy(world.path("a.log"), world.path("a.log.1")).unwrap();
            fs::write(world.path("a.log"), "").unwrap();
            if is_crashed {
                world.crash();
            }
            // Grown past where it was read, so that only its bytes tell.
            world.append("a.log", &format!("{}\nthree\n", "y".repeat(300)));
            world.look_until_quiet();
            world.records.sort();
            let expected = ["three", "two", long.as_str(), &"y".repeat(300)];
            assert_eq!(world.records, expected, "{pattern} {is_crashed}");
        }
    }
}

#[test]
fn an_inode_used_again_is_a_new_file() {
    let mut world = World::new("*.log");
    world.append("a.log", "one\n");
    world.check(&["one"]);
    let places = world.places.clone();
    fs::remove_file(world.path("a.log")).unwrap();
    world.append("b.log", "a new file\n");
    // As if it had the inode of the old one.
    use std::os::unix::fs::MetadataExt;
    let inode = fs::metadata(world.path("b.log")).unwrap().ino();
    let mut words: Vec<&str> = places.split(' ').collect();
    let inode = inode.to_string();
    words[1] = &inode;
    world.tail = open(world.folder.path(), "*.log", None, &words.join(" "));
    world.check(&["one", "a new file"]);
}

#[test]
fn an_over_long_line_is_cut_and_the_next_one_is_whole() {
    let mut world = World::new("a.log");
    let long = "z".repeat(3 << 20);
    world.append("a.log", &format!("{}\n{long}", "k".repeat(5000)));
    world.look_until_quiet();
    world.crash();
    world.append("a.log", &format!("{long}\nnext\n"));
    world.look_until_quiet();
    let lengths: Vec<usize> = world.records.iter().map(String::len).collect();
    assert_eq!(lengths, [4096, 4096, 4]);
}

#[test]
fn records_of_several_lines_stay_together() {
    let mut world = World::with_profile("pg.log", Some("postgresql"));
    world.append("pg.log", "2026-02-03 x LOG:  a\n\tb\n2026-02-03 y LOG:  c\n");
    world.look();
    assert_eq!(world.records, ["2026-02-03 x LOG:  a\n\tb"], "whether the last one goes on is not known");
    world.append("pg.log", "\td\n");
    world.check(&["2026-02-03 x LOG:  a\n\tb", "2026-02-03 y LOG:  c\n\td"]);
}

#[test]
fn records_of_several_lines_stay_together_under_a_wrong_name() {
    let entry = |second: u8| {
        format!(
            "# Time: 2026-02-03T04:05:0{second}.1Z\n# User@Host: lan[lan] @ localhost [203.0.113.9]  Id:     8\n\
            # Query_time: 2.5  Lock_time: 0.0 Rows_sent: 7  Rows_examined: 9\nSELECT *\nFROM x;"
        )
    };
    let mut world = World::with_profile("slow.log", Some("apache"));
    world.append("slow.log", &format!("{}\n{}\n", entry(1), entry(2)));
    world.look();
    assert_eq!(world.records, [entry(1)], "whether the last one goes on is not known");
    world.append("slow.log", &format!("{}\n", entry(3)));
    world.check(&[&entry(1), &entry(2), &entry(3)]);
}

#[test]
fn patterns() {
    let rows = [
        ("*.log", "a.log", true),
        ("*.log", "a.log.1", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*", "", true),
        ("a*b*c", "axxbyyc", true),
        ("a*b*c", "axxbyy", false),
        ("**", "x", true),
        ("", "", true),
        ("", "x", false),
    ];
    for (pattern, name, expected) in rows {
        assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
    }
    let options = |path: &str| TailOptions { path: path.into(), origin: Origin::new("file"), record_bytes_max: 9 };
    assert!(Tail::new(options("/var/*/a.log"), "").is_err());
    assert!(Tail::new(options("/"), "").is_err());
}

/// Anything that may happen, in any order: each line exactly once, and in order as long as it stays in one file.
#[test]
fn any_history_gives_each_line_once() {
    let seed = std::env::var("NHATLE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_126u64);
    println!("seed {seed}");
    for run in 0..40 {
        let mut dice = (seed + run) | 1;
        let mut roll = move |end: u64| {
            dice ^= dice >> 12;
            dice ^= dice << 25;
            dice ^= dice >> 27;
            (dice.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
        };
        let pattern = ["a.log", "a.log*"][usize::try_from(run % 2).unwrap()];
        let mut world = World::new(pattern);
        let (mut written, mut rotated, mut is_open, mut is_seen) = (Vec::new(), 0, false, false);
        let mut history = String::new();
        for _ in 0..120 {
            let step = roll(8);
            history.push_str(&format!("{step}@{} ", written.len()));
            match step {
                0..4 => {
                    let line = format!("{:06} {}", written.len(), "m".repeat(usize::try_from(roll(60)).unwrap()));
                    let (front, back) = line.split_at(usize::try_from(roll(line.len() as u64)).unwrap());
                    world.append("a.log", front);
                    if roll(4) == 0 {
                        world.look();
                        is_seen |= is_open;
                    }
                    world.append("a.log", &format!("{back}\n"));
                    written.push(line);
                    is_open = true;
                }
                4 => {
                    world.look();
                    is_seen |= is_open;
                }
                5 => world.crash(),
                6 if is_open => {
                    rotated += 1;
                    // Made, and gone from its name before anybody looked: nothing tells that it was one of ours.
                    if !is_seen && pattern == "a.log" {
                        world.look();
                    }
                    rename(world.path("a.log"), world.path(&format!("a.log.{rotated}"))).unwrap();
                    (is_open, is_seen) = (false, false);
                    // Rotated twice between two looks is found by listing; three times has to be seen in between.
                    world.look();
                }
                7 if is_open => {
                    rotated += 1;
                    world.look();
                    fs::copy(world.path("a.log"), world.path(&format!("a.log.{rotated}"))).unwrap();
                    fs::write(world.path("a.log"), "").unwrap();
                    world.look();
                }
                _ => {}
            }
        }
        world.look_until_quiet();
        let mut read = world.records.clone();
        read.sort();
        let missing: Vec<_> = written.iter().filter(|line| !read.contains(line)).collect();
        assert!(missing.is_empty(), "run {run} {pattern}: missing {missing:?} after {history}");
        let doubled: Vec<_> = read.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(doubled.is_empty(), "run {run} {pattern}: doubled {doubled:?}");
        assert_eq!(read, written, "run {run} {pattern}");
    }
}

/// The records as the pipeline reads them.
fn events(world: &World) -> Vec<nhatle_event::Event> {
    let read = |text: &String| {
        let record = nhatle_event::Record::new(text.as_bytes(), "file", Timestamp(0));
        crate::to_event(&record, &crate::Settings::default()).expect("is an event")
    };
    world.records.iter().map(read).collect()
}

#[test]
fn lines_below_a_header_are_read_by_it_also_after_a_start_in_the_middle() {
    let mut world = World::new("u_ex*.log");
    world.append("u_ex1.log", "#Software: Microsoft Internet Information Services 10.0\r\n");
    world.look();
    world.append("u_ex1.log", "#Fields: date time c-ip cs-uri-stem sc-status\r\n");
    world.append("u_ex1.log", "2026-11-23 02:10:00 203.0.113.9 /a 404\r\n");
    world.look_until_quiet();
    world.crash();
    world.append("u_ex1.log", "2026-11-23 02:10:01 203.0.113.9 /b 200\r\n");
    world.look_until_quiet();
    // The server was told to log something else, and nobody looked when it began to.
    world.append(
        "u_ex1.log",
        "#Fields: date time cs-uri-stem c-ip sc-status\r\n2026-11-23 02:10:02 /c 198.51.100.7 200\r\n",
    );
    world.crash();
    world.look_until_quiet();
    world.append("u_ex1.log", "2026-11-23 02:10:03 /d 198.51.100.7 200\r\n");
    world.look_until_quiet();
    let told: Vec<_> = events(&world)
        .iter()
        .map(|event| {
            let text = |field| event.get(field).and_then(nhatle_event::Value::as_text).unwrap_or_default().into_owned();
            format!("{} {}", text(nhatle_event::Field::SOURCE_IP), text(nhatle_event::Field::URL_PATH))
        })
        .collect();
    let expected = ["203.0.113.9 /a", "203.0.113.9 /b", "198.51.100.7 /c", "198.51.100.7 /d"];
    assert_eq!(told, expected, "{:?}", world.records);
    assert_eq!(&*events(&world)[1].original, b"2026-11-23 02:10:01 203.0.113.9 /b 200", "the line as it stands");
}

#[test]
fn logs_of_zeek_are_read_by_their_header_and_a_rotated_one_by_its_own() {
    let mut world = World::with_profile("conn.log", Some("zeek"));
    let header = |fields: &str, types: &str| {
        format!(
            "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#open\tx\n#fields\t{fields}\n#types\t{types}\n"
        )
    };
    world.append("conn.log", &header("ts\tuid\tid.orig_h\tid.resp_h", "time\tstring\taddr\taddr"));
    world.append("conn.log", "1795399800.0\tC1\t192.0.2.9\t198.51.100.7\n");
    world.look_until_quiet();
    rename(world.path("conn.log"), world.path("conn.1.log")).unwrap();
    world.append("conn.log", &header("ts\tuid\tid.resp_h\tid.orig_h", "time\tstring\taddr\taddr"));
    world.append("conn.log", "1795399801.0\tC2\t198.51.100.7\t192.0.2.9\n");
    world.look_until_quiet();
    let sources: Vec<_> = events(&world)
        .iter()
        .map(|event| {
            event
                .get(nhatle_event::Field::SOURCE_IP)
                .and_then(nhatle_event::Value::as_text)
                .unwrap_or_default()
                .into_owned()
        })
        .collect();
    assert_eq!(sources, ["192.0.2.9", "192.0.2.9"], "{:?}", world.records);
}
