//! A proxy between senders and server that can cut its connections, and hold back what the server answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// A TCP proxy that can cut its connections, and hold back what the server answers.
pub struct Proxy {
    pub address: SocketAddr,
    /// Raised by each cut; a connection of an older number ends.
    pub cuts: Arc<AtomicU32>,
    pub is_holding: Arc<AtomicBool>,
}

impl Proxy {
    pub fn new(port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (cuts, is_holding) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (all_cuts, holding) = (cuts.clone(), is_holding.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let cut = (all_cuts.clone(), all_cuts.load(Ordering::Acquire));
                let holding = holding.clone();
                std::thread::spawn(move || {
                    // While the server is away the client waits, as it would try again by itself.
                    let began = Instant::now();
                    let server = loop {
                        match TcpStream::connect(("127.0.0.1", port)) {
                            Ok(server) => break server,
                            Err(_away) if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
                            Err(_gone) => return,
                        }
                    };
                    let never = Arc::new(AtomicBool::new(false));
                    pass(client.try_clone().unwrap(), server.try_clone().unwrap(), cut.clone(), never);
                    pass(server, client, cut, holding);
                });
            }
        });
        Proxy { address, cuts, is_holding }
    }
}

/// Passes bytes on until one side ends or it is cut.
fn pass(mut from: TcpStream, mut to: TcpStream, (cuts, number): (Arc<AtomicU32>, u32), is_holding: Arc<AtomicBool>) {
    from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        let is_cut = || cuts.load(Ordering::Acquire) != number;
        while !is_cut() {
            if is_holding.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            match from.read(&mut buffer) {
                Ok(read @ 1..) if !is_cut() && to.write_all(&buffer[..read]).is_ok() => {}
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                }
                _ => break,
            }
        }
        drop(to.shutdown(std::net::Shutdown::Both));
        if is_cut() {
            drop(from.shutdown(std::net::Shutdown::Both));
        }
    });
}
