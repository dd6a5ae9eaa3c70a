//! The queue before the pipeline: who waits, who is dropped, who is told.

use std::time::Duration;

use nhatle_event::{Record, Timestamp};

use super::Batch;
use super::fair::Sender;
use super::queue::{Closed, NoRoom, channel};

fn batch(peer: u8, bytes: usize) -> Batch {
    let mut record = Record::new(vec![b'x'; bytes], "test", Timestamp(0));
    record.peer = (peer != 0).then(|| [192, 0, 2, peer].into());
    Batch::of(vec![record])
}

async fn soon<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::from_millis(50), work).await.ok()
}

#[tokio::test]
async fn who_waits_for_room_gets_in_once_his_own_is_served() {
    let (sink, intake) = channel(4_000);
    sink.send(batch(1, 1_500)).await.expect("is open");
    let second = tokio::spawn({
        let sink = sink.clone();
        async move { sink.send(batch(1, 1_501)).await }
    });
    tokio::task::yield_now().await;
    assert!(soon(sink.send(batch(2, 900))).await.is_some(), "another one has room");
    assert!(!second.is_finished());
    // Whoever stops waiting is in nobody's way.
    assert!(soon(sink.send(batch(1, 1_502))).await.is_none());
    for expected in [1_500, 900, 1_501] {
        let taken = tokio::time::timeout(Duration::from_secs(120), intake.recv()).await.expect("in time");
        assert_eq!(taken.map(|batch| batch.records[0].bytes.len()), Some(expected));
    }
    assert_eq!(second.await.ok(), Some(Ok(())));
    drop(sink);
    assert!(intake.recv().await.is_none());
}

#[tokio::test]
async fn what_finds_no_room_at_all_waits_for_anybody() {
    let (sink, intake) = channel(4_000);
    sink.send_as(Sender::named("a"), batch(0, 5_000)).await.expect("is open");
    assert_eq!(sink.admit(Sender::named("b")), Err(NoRoom::Full));
    assert_eq!(sink.admit(Sender::named("a")), Err(NoRoom::Flood));
    let waiting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.send(batch(3, 10)).await }
    });
    assert!(
        soon(async {
            while !waiting.is_finished() {
                tokio::task::yield_now().await
            }
        })
        .await
        .is_none()
    );
    assert!(intake.try_recv().is_some());
    assert_eq!(waiting.await.ok(), Some(Ok(())));
    assert_eq!(sink.admit(Sender::named("b")), Ok(()));
}

#[tokio::test]
async fn datagrams_past_the_share_are_dropped_and_counted_by_sender() {
    let (sink, intake) = channel(10_000);
    let of = |peers: &[u8]| peers.iter().flat_map(|peer| batch(*peer, 872).records).collect::<Vec<_>>();
    let mut taken = (0, 0, 0);
    for _ in 0..20 {
        let (kept, _, dropped) = sink.offer(of(&[1, 1]));
        taken = (taken.0 + kept, 0, taken.2 + dropped);
    }
    assert_eq!(taken, (6, 0, 34), "half of the room, in whole batches");
    assert_eq!(sink.offer(of(&[2, 1, 3, 1])), (2, 0, 2), "the quiet ones get in");
    sink.shut_gate();
    assert_eq!(sink.offer(of(&[2])), (0, 0, 1));
    let mut shed: Vec<_> =
        intake.take_shed().into_iter().map(|shed| (shed.sample.peer, shed.why, shed.records)).collect();
    shed.sort();
    let peer = |number: u8| Some([192, 0, 2, number].into());
    assert_eq!(shed, [(peer(1), NoRoom::Flood, 36), (peer(2), NoRoom::Shut, 1)]);
    assert!(intake.take_shed().is_empty());
    assert_eq!((sink.stats().shed, sink.stats().is_shut), (37, true));
    // What is in is served with the gate shut; what we send ourselves gets in.
    assert!(soon(sink.send(batch(4, 1))).await.is_none());
    assert!(soon(sink.send(batch(0, 1))).await.is_none());
    assert!(soon(sink.send_as(Sender::Own, batch(0, 1))).await.is_some());
    let mut order = Vec::new();
    while let Some(batch) = intake.try_recv() {
        order.push(batch.records[0].peer);
    }
    assert_eq!(order.len(), 6);
    sink.open_gate();
    assert!(soon(sink.send(batch(4, 1))).await.is_some());
}

#[tokio::test]
async fn the_end_of_the_pipeline_is_told_to_all() {
    let (sink, intake) = channel(1_000);
    sink.send(batch(1, 500)).await.expect("is open");
    sink.shut_gate();
    let waiting = [1, 2].map(|peer| {
        let sink = sink.clone();
        tokio::spawn(async move { sink.send(batch(peer, 500)).await })
    });
    tokio::task::yield_now().await;
    drop(intake);
    sink.closed().await;
    for waiting in waiting {
        assert_eq!(waiting.await.ok(), Some(Err(Closed)));
    }
    assert_eq!(sink.blocking_send(batch(1, 1)), Err(Closed));
}
