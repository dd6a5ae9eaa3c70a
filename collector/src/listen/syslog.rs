//! Syslog over a stream (RFC 6587): cut into records by the connection's own [`Framer`].
//!
//! In: a connection. Out: batches, one for each read. Overload: reading stops while its sender has no room, so the sender
//! waits. An unfinished frame at the end of a connection is its last record. Failure: a broken connection ends.

use tokio::io::AsyncReadExt;

use super::stream::{Bytes, Connection, READ_BYTES};
use super::{Batch, Counts, sizes};
use crate::frame::Framer;

/// Serves a connection until it ends.
pub(super) async fn serve(connection: Connection, mut stream: impl Bytes) {
    let Connection { origin, sender, limits, counts, sink, clock } = connection;
    let mut framer = Framer::new(origin, limits.record_bytes_max);
    let mut buffer = vec![0u8; READ_BYTES];
    let mut skipped_bytes = 0;
    loop {
        if sink.ready(sender).await.is_err() {
            return;
        }
        let patience = if framer.is_inside_frame() { limits.frame } else { limits.idle };
        let read = match tokio::time::timeout(patience, stream.read(&mut buffer)).await {
            Ok(Ok(length)) => length,
            // Broken or silent: like an end.
            Ok(Err(_)) | Err(_) => 0,
        };
        let mut records = Vec::new();
        let now = clock.now();
        match buffer.get(..read).filter(|bytes| !bytes.is_empty()) {
            Some(bytes) => framer.push(bytes, now, &mut records),
            None => framer.finish(now, &mut records),
        }
        let skipped = framer.skipped_bytes();
        Counts::add(&counts.skipped_bytes, usize::try_from(skipped - skipped_bytes).unwrap_or(usize::MAX));
        skipped_bytes = skipped;
        if !records.is_empty() {
            let sizes = sizes(&records);
            if sink.send_as(sender, Batch::of(records)).await.is_err() {
                Counts::add(&counts.dropped, sizes.0);
                return;
            }
            counts.add_received(sizes);
        }
        if read == 0 {
            return;
        }
    }
}
