//! Ports of this test alone: for addresses that must be known before somebody listens there.
//!
//! Asking the kernel for a free port and letting go of it will not do: until the server listens, any other
//! test's outgoing connection may be given the same one.

use std::net::{TcpListener, UdpSocket};
use std::sync::Mutex;

/// Below the ports that Linux gives outgoing connections (`net.ipv4.ip_local_port_range`, from 32768).
const FIRST: u16 = 10_000;
const SLOT_COUNT: u16 = 350;
const SLOT_PORTS: u16 = 64;

/// A row of ports that no other process of the tests takes from: whoever listens on its first port owns it.
struct Slot {
    _owned: TcpListener,
    next: u16,
    end: u16,
}

static SLOT: Mutex<Option<Slot>> = Mutex::new(None);

/// A port of 127.0.0.1 on which nobody listens, over TCP or UDP, and which nobody else is given.
///
/// # Panics
///
/// If every slot is taken.
pub fn free() -> u16 {
    let mut slot = SLOT.lock().unwrap();
    loop {
        if let Some(slot) = slot.as_mut() {
            while slot.next < slot.end {
                slot.next += 1;
                let at = ("127.0.0.1", slot.next - 1);
                if TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok() {
                    return at.1;
                }
            }
        }
        // The ports of the last slot stay with whom they were given to; a server of theirs may still be starting.
        std::mem::forget(slot.replace(own()));
    }
}

fn own() -> Slot {
    let start = (std::process::id() % u32::from(SLOT_COUNT)) as u16;
    let owned = (0..SLOT_COUNT).find_map(|step| {
        let first = FIRST + (start + step) % SLOT_COUNT * SLOT_PORTS;
        let owned = TcpListener::bind(("127.0.0.1", first)).ok()?;
        Some(Slot { _owned: owned, next: first + 1, end: first + SLOT_PORTS })
    });
    owned.expect("a row of ports that no other test has")
}
