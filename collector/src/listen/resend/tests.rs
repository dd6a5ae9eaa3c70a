//! Resends against a model: senders that hear some answers and not others, lines that break anywhere, groups that are
//! refused, restarts. Whatever happens, each record is stored once.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use nhatle_event::Timestamp;

use super::pushes::{ANSWERED_REMEMBERED_NS, BROKEN_REMEMBERED_NS, NEAR_BREAK_NS, SILENT_NS};
use super::*;

const PEER: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)));

fn lane() -> Lane {
    Lane::of_peer("relp", PEER)
}

/// Dice: the same throws for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        // Knuth's MMIX.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % bound as u64).unwrap()
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }
}

struct Talk {
    delivery: Arc<Delivery>,
    /// Up to which record this session has sent, and has been stored.
    sent: usize,
    stored: usize,
}

/// A sender behind the one address, and how far it is.
struct Talker {
    name: usize,
    heard: usize,
    talk: Option<Talk>,
}

const RECORDS: usize = 60;

fn text(sender: usize, number: usize) -> Vec<u8> {
    format!("{sender}:{number}").into_bytes()
}

/// Sessions of several senders behind one address, by these dice. Answers what is stored, in order.
fn world(seed: u64, restarts: bool) -> Vec<Vec<u8>> {
    let mut dice = Dice(seed);
    let breaks = Arc::default();
    let mut memory = Memory::default();
    let mut log: Vec<Vec<u8>> = Vec::new();
    let mut senders: Vec<Talker> = (0..1 + dice.below(3)).map(|name| Talker { name, heard: 0, talk: None }).collect();
    let mut now = Timestamp(0);
    for _ in 0..100_000 {
        now = now.plus_nanos(1_000_000);
        let open: Vec<usize> = (0..senders.len()).filter(|at| senders[*at].heard < RECORDS).collect();
        if open.is_empty() {
            return log;
        }
        if restarts && dice.one_in(40) {
            // Everything that was open breaks, and only the log is left.
            senders.iter_mut().for_each(|sender| sender.talk = None);
            memory = Memory::default();
            memory.remember_sessions(&breaks, lane(), log.iter().map(Vec::as_slice), now);
        }
        // One group: parts of some senders, in the order in which they came.
        let mut fresh = Vec::new();
        let mut parts = Vec::new();
        for _ in 0..1 + dice.below(3) {
            let sender = &mut senders[open[dice.below(open.len())]];
            if sender.talk.is_some() && dice.one_in(6) {
                let talk = sender.talk.take().unwrap();
                // Some of the answers arrive; and the server hears of the break, or does not.
                let answered = talk.stored - sender.heard;
                sender.heard += dice.below(answered + 1);
                match (dice.below(3), sender.heard == talk.sent) {
                    (0, true) => talk.delivery.set(State::Proven, now),
                    (1, _) if talk.stored == talk.sent => talk.delivery.set(State::Quiet, now),
                    (2, _) => talk.delivery.set(State::Broken, now),
                    _ => {}
                }
            }
            let talk = sender.talk.get_or_insert_with(|| Talk {
                delivery: Delivery::new(&breaks, Kind::Session, lane(), PEER, now),
                sent: sender.heard,
                stored: sender.heard,
            });
            let end = (talk.sent + 1 + dice.below(6)).min(RECORDS);
            let records: Vec<Vec<u8>> = (talk.sent..end).map(|number| text(sender.name, number)).collect();
            talk.sent = end;
            let repeats = memory.look(&talk.delivery, records.iter().map(Vec::as_slice), now);
            let is_new = |at: &usize| !repeats.contains(&u32::try_from(*at).unwrap());
            fresh.extend((0..records.len()).filter(is_new).map(|at| records[at].clone()));
            parts.push(sender.name);
        }
        let is_stored = !dice.one_in(8);
        memory.settle(is_stored);
        if is_stored {
            log.extend(fresh);
        }
        for sender in senders.iter_mut().filter(|sender| parts.contains(&sender.name)) {
            match &mut sender.talk {
                Some(talk) if is_stored => talk.stored = talk.sent,
                // A refusal closes the session.
                Some(talk) => {
                    talk.delivery.set(State::Broken, now);
                    sender.talk = None;
                }
                None => {}
            }
            if let Some(talk) = &sender.talk {
                sender.heard = sender.heard.max(talk.stored.min(sender.heard + dice.below(4)));
            }
        }
    }
    panic!("seed {seed}: the senders do not come to an end");
}

/// Each record of each sender once, and in its order.
fn check_world(seed: u64, restarts: bool) {
    let log = world(seed, restarts);
    let senders = log.iter().filter(|record| record.ends_with(b":0")).count();
    for sender in 0..senders {
        let own: Vec<&Vec<u8>> =
            log.iter().filter(|record| record.starts_with(format!("{sender}:").as_bytes())).collect();
        let expected: Vec<Vec<u8>> = (0..RECORDS).map(|number| text(sender, number)).collect();
        assert_eq!(own, expected.iter().collect::<Vec<_>>(), "seed {seed}, restarts {restarts}, sender {sender}");
    }
}

#[test]
fn sessions_cut_anywhere_store_each_record_once() {
    (0..400).for_each(|seed| check_world(seed, false));
}

#[test]
fn so_they_do_through_restarts() {
    (0..400).for_each(|seed| check_world(seed, true));
}

/// What a session with these records is told to leave out.
fn says(memory: &mut Memory, delivery: &Arc<Delivery>, records: &[&str], now: i64) -> Vec<u32> {
    let repeats = memory.look(delivery, records.iter().map(|record| record.as_bytes()), Timestamp(now));
    memory.settle(true);
    repeats
}

fn session(breaks: &Arc<Breaks>) -> Arc<Delivery> {
    Delivery::new(breaks, Kind::Session, lane(), PEER, Timestamp(0))
}

#[test]
fn the_same_again_is_stored_again() {
    let breaks = Arc::default();
    let mut memory = Memory::default();
    let first = session(&breaks);
    assert_eq!(says(&mut memory, &first, &["a", "a", "b", "a"], 0), [0u32; 0], "in one session");
    first.set(State::Broken, Timestamp(1));
    let second = session(&breaks);
    assert_eq!(says(&mut memory, &second, &["b", "a", "c", "a", "b"], 2), [0, 1], "only what follows there");
    assert_eq!(says(&mut memory, &second, &["b", "a"], 3), [0u32; 0], "once it has gone on");
    second.set(State::Proven, Timestamp(4));
    let third = session(&breaks);
    assert_eq!(says(&mut memory, &third, &["b", "a"], 5), [0u32; 0], "after a farewell");
    let elsewhere = Delivery::new(&breaks, Kind::Session, Lane(1), None, Timestamp(0));
    assert_eq!(says(&mut memory, &elsewhere, &["b", "a"], 6), [0u32; 0], "from another sender");
}

#[test]
fn a_session_that_is_cut_again_and_again_goes_on_where_it_was() {
    let breaks = Arc::default();
    let mut memory = Memory::default();
    let rows: [(&[&str], &[u32]); 4] = [
        (&["a", "b", "c", "d"], &[]),
        (&["b", "c"], &[0, 1]),
        (&["b", "c", "d", "e"], &[0, 1, 2]),
        (&["d", "e"], &[0, 1]),
    ];
    for (now, (records, expected)) in (0..).zip(rows) {
        let delivery = session(&breaks);
        assert_eq!(says(&mut memory, &delivery, records, now), expected, "{records:?}");
        delivery.set(State::Broken, Timestamp(now));
    }
}

fn push(breaks: &Arc<Breaks>, now: i64) -> Arc<Delivery> {
    Delivery::new(breaks, Kind::Push, lane(), PEER, Timestamp(now))
}

#[test]
fn a_push_counts_as_repeated_only_where_its_answer_may_be_lost() {
    const NONE: i64 = i64::MIN;
    let rows: [(Option<State>, i64, i64, bool); 13] = [
        (Some(State::Broken), 0, 10, true),
        (Some(State::Broken), 0, BROKEN_REMEMBERED_NS, true),
        (Some(State::Broken), 0, BROKEN_REMEMBERED_NS + 1, false),
        (Some(State::Left), NONE, 10, false),
        (Some(State::Left), NONE, SILENT_NS, false),
        (Some(State::Left), NEAR_BREAK_NS, NEAR_BREAK_NS + 5, true),
        (Some(State::Left), NEAR_BREAK_NS * 2, NEAR_BREAK_NS * 2 + 5, false),
        (Some(State::Left), 10, ANSWERED_REMEMBERED_NS + 1, false),
        (Some(State::Answered), NONE, 10, false),
        (Some(State::Answered), NONE, SILENT_NS, true),
        (Some(State::Answered), 10, 20, true),
        (Some(State::Proven), 0, 10, false),
        (None, 0, 10, false),
    ];
    for (state, other_break, again, expected) in rows {
        let breaks: Arc<Breaks> = Arc::default();
        let mut memory = Memory::default();
        let first = push(&breaks, 0);
        assert_eq!(says(&mut memory, &first, &["a", "b"], 0), [0u32; 0]);
        if let Some(state) = state {
            first.set(state, Timestamp(0));
        }
        if other_break != NONE {
            push(&breaks, 0).set(State::Broken, Timestamp(other_break));
        }
        let second = push(&breaks, again);
        let found = says(&mut memory, &second, &["a", "b"], again);
        assert_eq!(found.len(), if expected { 2 } else { 0 }, "{state:?}, {other_break}, {again}");
        assert_eq!(says(&mut memory, &push(&breaks, again), &["b", "a"], again), [0u32; 0], "in another order");
        // Answered over a line with nothing wrong: the sender says it a third time, and means it.
        second.set(State::Proven, Timestamp(again));
        assert_eq!(says(&mut memory, &push(&breaks, again), &["a", "b"], again), [0u32; 0]);
    }
}

/// A sender that pushes one body after the other until each is answered, by these dice; and now and then the same again.
fn check_pushes(seed: u64) {
    let mut dice = Dice(seed);
    let mut breaks = Arc::default();
    let mut memory = Memory::default();
    let mut marks = Vec::new();
    let mut now = Timestamp(0);
    for number in 0..40 {
        let body = format!("{}", number / 2);
        let (mut stored, mut tries) = (0, 0);
        loop {
            tries += 1;
            assert!(tries < 1_000, "seed {seed}");
            now = now.plus_nanos(50_000_000);
            let delivery = push(&breaks, now.0);
            let is_repeat = !memory.look(&delivery, [body.as_bytes()].into_iter(), now).is_empty();
            let is_stored = !dice.one_in(5);
            if is_stored {
                marks = memory.open_pushes(now);
                stored += usize::from(!is_repeat);
            }
            memory.settle(is_stored);
            if is_stored && dice.one_in(5) {
                // Killed before it could answer.
                (memory, breaks) = (Memory::default(), Arc::default());
                memory.remember_pushes(&breaks, &marks, now);
                continue;
            }
            match (is_stored, dice.below(3)) {
                (false, _) | (true, 0) => delivery.set(State::Broken, now),
                (true, 1) => {
                    // Answered, and something between swallowed the answer as it broke.
                    delivery.set(State::Answered, now);
                    push(&breaks, now.0).set(State::Broken, now.plus_nanos(1_000));
                }
                _ => {
                    delivery.set(State::Proven, now);
                    break;
                }
            }
        }
        assert_eq!(stored, 1, "seed {seed}, push {number}");
    }
}

#[test]
fn pushes_whose_answers_are_lost_are_stored_once_and_meant_ones_each_time() {
    (0..400).for_each(check_pushes);
}

#[test]
fn what_is_remembered_is_bounded() {
    let breaks: Arc<Breaks> = Arc::default();
    let mut memory = Memory::default();
    for number in 0..150u32 {
        let delivery = session(&breaks);
        let record = number.to_le_bytes();
        let records: Vec<&[u8]> = std::iter::repeat_n(&record[..], 300).collect();
        assert_eq!(memory.look(&delivery, records.into_iter(), Timestamp(0)).len(), 0);
        memory.settle(true);
        delivery.set(State::Broken, Timestamp(0));
        let pushed = Delivery::new(&breaks, Kind::Push, Lane(u64::from(number % 2)), PEER, Timestamp(0));
        memory.look(&pushed, [&record[..]].into_iter(), Timestamp(0));
        memory.settle(true);
        pushed.set(State::Broken, Timestamp(0));
    }
    assert!(memory.records() <= 64 * 300 + pushes::LANE_PUSHES_MAX * 2, "{}", memory.records());
    assert!(memory.open_pushes(Timestamp(1)).len() <= pushes::LANE_PUSHES_MAX);
    for peer in 0..10_000u32 {
        breaks.note(IpAddr::V4(peer.into()), Timestamp(i64::from(peer)));
    }
    assert_eq!(breaks.of_peers.lock().unwrap().len(), PEERS_MAX);
}
