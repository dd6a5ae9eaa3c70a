//! [`FairQueue`] beside a naive twin that goes round by round, and its promises on random senders.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::fair::{FairQueue, QUANTUM_BYTES, SENDERS_MAX, Sender};

const ROOM: usize = 1 << 20;

type Items = VecDeque<(usize, u32)>;

/// Deficit round robin as it is written down: a list of queues, visited one after another, a quantum a visit.
#[derive(Default)]
struct Naive {
    queues: VecDeque<(Sender, usize, Items)>,
}

impl Naive {
    fn push(&mut self, sender: Sender, bytes: usize, item: u32) {
        match self.queues.iter_mut().find(|(known, ..)| *known == sender) {
            Some((_, _, items)) => items.push_back((bytes, item)),
            None => self.queues.push_back((sender, QUANTUM_BYTES, VecDeque::from([(bytes, item)]))),
        }
    }

    fn pop(&mut self) -> Option<(Sender, u32)> {
        loop {
            let (sender, deficit, items) = self.queues.front_mut()?;
            let (bytes, item) = *items.front().expect("no empty queue is kept");
            if bytes <= *deficit {
                let sender = *sender;
                *deficit -= bytes;
                items.pop_front();
                if items.is_empty() {
                    self.queues.pop_front();
                }
                return Some((sender, item));
            }
            *deficit += QUANTUM_BYTES;
            self.queues.rotate_left(1);
        }
    }
}

fn sender(number: u8) -> Sender {
    Sender::Peer([192, 0, 2, number].into())
}

/// A push of so many bytes by a sender, or a pop.
fn steps() -> impl Strategy<Value = Vec<Option<(u8, usize)>>> {
    let bytes = prop_oneof![1..2_000usize, 1..200_000usize, 1..3_000_000usize];
    prop::collection::vec(prop::option::weighted(0.6, (0..6u8, bytes)), 1..200)
}

proptest! {
    #[test]
    fn serves_as_the_naive_twin_does_and_in_order_within_a_sender(steps in steps()) {
        let (mut queue, mut naive) = (FairQueue::new(ROOM), Naive::default());
        let mut pushed = [const { VecDeque::<u32>::new() }; 6];
        let pop = |queue: &mut FairQueue<u32>, naive: &mut Naive, pushed: &mut [VecDeque<u32>; 6]| {
            let served = queue.pop();
            assert_eq!(served.map(|(sender, _, item)| (sender, item)), naive.pop());
            if let Some((Sender::Peer(std::net::IpAddr::V4(address)), is_last, item)) = served {
                let waiting = &mut pushed[usize::from(address.octets()[3])];
                assert_eq!(waiting.pop_front(), Some(item));
                assert_eq!(is_last, waiting.is_empty());
            }
            served.is_some()
        };
        for (item, step) in (0u32..).zip(steps) {
            let Some((number, bytes)) = step else {
                pop(&mut queue, &mut naive, &mut pushed);
                continue;
            };
            if queue.has_room(sender(number), bytes) {
                let (before, held) = (queue.bytes(), queue.bytes_of(sender(number)));
                queue.push(sender(number), bytes, item);
                naive.push(sender(number), bytes, item);
                pushed[usize::from(number)].push_back(item);
                let is_first = held == 0 && before < ROOM;
                prop_assert!(queue.bytes() <= ROOM || is_first, "bounded, but for the first item of a sender");
            }
        }
        while pop(&mut queue, &mut naive, &mut pushed) {}
        prop_assert_eq!((queue.bytes(), queue.senders()), (0, 0));
    }

    /// Of two that always have something waiting neither is ever ahead by more than a turn and the largest item; who
    /// wants less than its share gets all of it (max-min).
    #[test]
    fn who_waits_is_served_equally_by_bytes(sizes in prop::collection::vec(100..60_000usize, 3), quiet in 1..5_000usize) {
        let mut queue = FairQueue::new(usize::MAX);
        let mut served = [0usize; 4];
        for number in 0..3u8 {
            (0..400).for_each(|_| queue.push(sender(number), sizes[usize::from(number)], number));
        }
        let mut quiet_waits = 0;
        for _ in 0..300 {
            // The quiet one has one small item at a time.
            if queue.bytes_of(sender(3)) == 0 {
                queue.push(sender(3), quiet, 3);
                quiet_waits = 0;
            }
            let (_, _, number) = queue.pop().expect("something waits");
            let bytes = if number == 3 { quiet } else { sizes[usize::from(number)] };
            served[usize::from(number)] += bytes;
            quiet_waits += bytes;
            // Three turns and what stands before it, at most.
            prop_assert!(quiet_waits <= 3 * (QUANTUM_BYTES + 60_000) + quiet, "the quiet one waits for {} bytes", quiet_waits);
            let (least, most) = (served[..3].iter().min(), served[..3].iter().max());
            let apart = most.zip(least).map_or(0, |(most, least)| most - least);
            prop_assert!(apart <= 2 * (QUANTUM_BYTES + 60_000), "{:?}", served);
        }
    }
}

/// Fills the queue by these senders, in turn, until none of them has room.
fn fill(queue: &mut FairQueue<u8>, senders: &[u8]) {
    while senders.iter().any(|number| queue.has_room(sender(*number), 1_000)) {
        for number in senders.iter().filter(|number| queue.has_room(sender(**number), 1_000)).collect::<Vec<_>>() {
            queue.push(sender(*number), 1_000, *number);
        }
    }
}

#[test]
fn floods_leave_room_for_who_is_quiet() {
    for floods in [1u8, 2, 7] {
        let mut queue = FairQueue::new(ROOM);
        fill(&mut queue, &(0..floods).collect::<Vec<_>>());
        let share = ROOM / (usize::from(floods) + 1);
        for number in 0..floods {
            let held = queue.bytes_of(sender(number));
            assert!(held <= share + 1_000 && share < held + 10_000, "{floods} floods: {held} of {share}");
        }
        assert!(queue.has_room(sender(200), share / 2), "room is left");
        assert!(!queue.has_room(sender(0), 1_000));
    }
}

#[test]
fn senders_past_the_bound_share_queues_and_nothing_gets_lost_or_out_of_order() {
    let mut queue = FairQueue::new(usize::MAX);
    let count = u32::try_from(SENDERS_MAX).expect("is small") + 500;
    let of = |number: u32| Sender::Peer(std::net::Ipv4Addr::from(number).into());
    let mut last = vec![0; usize::try_from(count).expect("is small")];
    let mut left = 2 * count;
    let mut take = |queue: &mut FairQueue<(u32, i32)>| {
        let Some((.., (number, round))) = queue.pop() else { return false };
        let seen = &mut last[usize::try_from(number).expect("is small")];
        assert!(*seen <= round, "sender {number} out of order");
        *seen = round;
        left -= 1;
        true
    };
    for round in 0..2 {
        (0..count).for_each(|number| queue.push(of(number), 10, (number, round)));
        assert!(queue.senders() <= SENDERS_MAX + 64);
        // Some are done meanwhile, so that there is room for queues of their own again.
        (0..600).for_each(|_| assert!(take(&mut queue)));
    }
    while take(&mut queue) {}
    assert_eq!(left, 0);
}

#[test]
fn an_item_larger_than_all_the_room_gets_in_alone() {
    let mut queue = FairQueue::new(1_000);
    assert!(queue.has_room(sender(1), 50_000_000));
    queue.push(sender(1), 50_000_000, 1);
    assert!(queue.is_full() && !queue.has_room(sender(2), 1));
    assert_eq!(queue.pop().map(|(.., item)| item), Some(1));
    assert!(queue.has_room(sender(2), 1));
}
