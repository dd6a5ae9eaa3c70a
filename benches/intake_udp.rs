//! Loss over UDP at given rates, beside rsyslog and syslog-ng in turns (P6, P7).
//!
//! In: the folder of peers, how many rounds. Out: for each receiver and rate what was sent a second, what share was not stored,
//! processor time of the receiver an event; for us also where it was dropped. "Stored" is durable for us and in a file, without
//! sync, for the peers; they read the header and we normalize. Each asks for a buffer of 64 MiB in the kernel, which gives
//! everyone the same (`net.core.rmem_max`, unless the receiver may pass it). The sender shares the machine.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::intake::{durable, server, start_peer, written};
use crate::report;
use crate::server::{Running, listens, metric, stream_of};

/// Datagrams a second.
const RATES: [usize; 6] = [50_000, 100_000, 150_000, 200_000, 250_000, 300_000];
const SECONDS: f64 = 5.0;
/// How long a peer is given to listen: it cannot be asked over UDP.
const START: Duration = Duration::from_millis(1_500);

const PEERS: [(&str, &str); 2] =
    [("rsyslog imudp", include_str!("rsyslog-udp.conf")), ("syslog-ng udp", include_str!("syslog-ng-udp.conf"))];

/// What one receiver did at one rate.
#[derive(Default)]
struct Figures {
    sent: Vec<f64>,
    lost: Vec<f64>,
    cpu_us: Vec<f64>,
}

impl Figures {
    fn add(&mut self, sent: f64, stored: f64, cpu_s: f64) {
        self.sent.push(sent / SECONDS);
        self.lost.push(100.0 * (1.0 - stored / sent));
        self.cpu_us.push(cpu_s * 1e6 / stored.max(1.0));
    }

    fn tell(self, name: &str) {
        if !self.sent.is_empty() {
            report("intake", &format!("{name}: sent"), "events/s", self.sent);
            report("intake", &format!("{name}: lost"), "%", self.lost);
            report("intake", &format!("{name}: CPU"), "us/event", self.cpu_us);
        }
    }
}

pub fn run(peers: Option<&Path>, rounds: usize) {
    for rate in RATES {
        let mut ours = Figures::default();
        let mut theirs = PEERS.map(|_| Figures::default());
        for _ in 0..rounds {
            nhatle(rate, &mut ours);
            for ((_, config), figures) in PEERS.iter().zip(&mut theirs) {
                peers.and_then(|peers| peer(peers, config, rate, figures));
            }
        }
        ours.tell(&format!("nhatle, UDP at {rate} a second"));
        for ((name, _), figures) in PEERS.iter().zip(theirs) {
            figures.tell(&format!("{name}, UDP at {rate} a second"));
        }
    }
}

fn nhatle(rate: usize, figures: &mut Figures) {
    let folder = tempfile::tempdir().unwrap();
    let (server, ready) = server(folder.path(), false);
    let (http, address) = (listens(&ready, "http="), listens(&ready, "syslog_udp="));
    let cpu = server.cpu_s();
    let sent = send(rate, &address);
    let stored = durable(&http, sent);
    figures.add(sent, stored, server.cpu_s() - cpu);
    let dropped = |name: &str| metric(&http, &format!("nhatle_input_{name}_total{{input=\"syslog_udp\"}}"));
    let name = format!("nhatle, UDP at {rate} a second");
    report("intake", &format!("{name}: dropped by the kernel"), "events", vec![dropped("kernel_dropped")]);
    report("intake", &format!("{name}: dropped by the queue"), "events", vec![dropped("dropped")]);
}

fn peer(peers: &Path, config: &str, rate: usize, figures: &mut Figures) -> Option<()> {
    let folder = tempfile::tempdir().unwrap();
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let running: Running = start_peer(peers, config, folder.path(), port)?;
    std::thread::sleep(START);
    let out: PathBuf = folder.path().join("out");
    let (began, cpu) = (Instant::now(), running.cpu_s());
    let sent = send(rate, &format!("127.0.0.1:{port}"));
    let (stored, _) = written(&out, began);
    figures.add(sent, stored, running.cpu_s() - cpu);
    Some(())
}

/// So many datagrams a second for [`SECONDS`]; says how many were sent.
fn send(rate: usize, address: &str) -> f64 {
    let lines: Vec<Vec<u8>> =
        stream_of(2_000).split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(address).unwrap();
    let (began, mut sent) = (Instant::now(), 0usize);
    while began.elapsed().as_secs_f64() < SECONDS {
        let due = (began.elapsed().as_secs_f64() * rate as f64) as usize;
        while sent < due {
            sent += usize::from(socket.send(&lines[sent % lines.len()]).is_ok());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    sent as f64
}
