//! Syslog (RFC 6587) and GELF over a stream: cut into records by the connection's own [`Framer`].
//!
//! In: a connection. Out: batches, one for each read. Overload: reading stops while its sender has no room, so the sender
//! waits. An unfinished frame at the end of a connection is its last record; one that has to give way ([`super::frame_room`])
//! is a dead letter. Failure: a broken connection ends.

use super::frame_room::FrameHold;
use super::packed::weight;
use super::stream::{Bytes, Connection};
use super::{Batch, Counts, sizes};
use crate::frame::{Framer, Origin};

/// Serves a connection until it ends, cut by a framer that is made for where its records come from and how long they may be.
pub(super) async fn serve(connection: Connection, mut stream: impl Bytes, framer: fn(Origin, usize) -> Framer) {
    let Connection { origin, sender, limits, counts, sink, clock } = connection;
    let mut framer = framer(origin, limits.record_bytes_max);
    let mut hold = sink.frames().hold(sender);
    let told = hold.told();
    let mut skipped_bytes = 0;
    loop {
        let patience = if framer.is_inside_frame() { limits.frame } else { limits.idle };
        let mut records = Vec::new();
        let read = async {
            sink.ready(sender).await.ok()?;
            let take = |hold: &mut FrameHold, bytes: &[u8]| {
                framer.push(bytes, clock.now(), &mut records);
                hold.set(framer.held_bytes(), weight(&records));
            };
            Some(hold.read(&mut stream, patience, take).await)
        };
        let read = tokio::select! {
            biased;
            () = told.gives_way() => None,
            read = read => match read {
                Some(length) => Some(length),
                None => return,
            },
        };
        match read {
            None => framer.give_way(clock.now(), &mut records),
            Some(0) => framer.finish(clock.now(), &mut records),
            Some(_) => {}
        }
        let skipped = framer.skipped_bytes();
        Counts::add(&counts.skipped_bytes, usize::try_from(skipped - skipped_bytes).unwrap_or(usize::MAX));
        skipped_bytes = skipped;
        if !records.is_empty() {
            let sizes = sizes(&records);
            // Nothing gives way while this waits.
            hold.set(0, framer.held_bytes() + weight(&records));
            if sink.send_as(sender, Batch::of(records)).await.is_err() {
                Counts::add(&counts.dropped, sizes.0);
                return;
            }
            counts.add_received(sizes);
        }
        hold.set(framer.held_bytes(), 0);
        if read == Some(0) {
            return;
        }
    }
}
