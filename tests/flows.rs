//! A real exporter of flows against the real binary: softflowd in NetFlow v5, v9 and IPFIX.
//!
//! softflowd comes from Debian's packages, unpacked into the build folder and never installed, and reads packets that
//! are made here. Where it cannot be had the test says `skipped: no softflowd`.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{PATIENCE, Server, ports, request, stdout, token, wait_for};

/// softflowd, unpacked.
fn softflowd() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("softflowd");
    if folder.join("usr/sbin/softflowd").exists() {
        return Some(folder);
    }
    // Beside it first, so that a half-unpacked one is never taken for whole.
    let packages = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut download = Command::new("apt-get");
    download.args(["download", "softflowd", "libpcap0.8", "libdbus-1-3"]).current_dir(packages.path());
    let status = download.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.ok().filter(std::process::ExitStatus::success)?;
    let root = packages.path().join("root");
    for entry in std::fs::read_dir(packages.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            let status = Command::new("dpkg").arg("-x").args([&path, &root]).status().ok()?;
            status.success().then_some(())?;
        }
    }
    Command::new("mv").arg("-T").args([&root, &folder]).stderr(Stdio::null()).status().ok()?;
    folder.join("usr/sbin/softflowd").exists().then_some(folder)
}

/// One packet as a capture has it: Ethernet, IPv4, TCP (6) or UDP.
fn packet(from: ([u8; 4], u16), to: ([u8; 4], u16), protocol: u8, payload: usize) -> Vec<u8> {
    let mut inner = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
    if protocol == 6 {
        inner.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 3, 232, 0, 0, 0, 0]);
    } else {
        inner.extend([u16::try_from(8 + payload).unwrap().to_be_bytes(), [0, 0]].concat());
    }
    inner.extend(vec![b'x'; payload]);
    let mut packet = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    packet.extend(u16::try_from(20 + inner.len()).unwrap().to_be_bytes());
    packet.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
    packet.extend(from.0);
    packet.extend(to.0);
    packet.extend(inner);
    packet
}

/// A capture of these packets, a second apart.
fn capture(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = 0xa1b2_c3d4u32.to_le_bytes().to_vec();
    bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 1, 0, 0, 0]);
    for (at, packet) in packets.iter().enumerate() {
        let length = u32::try_from(packet.len()).unwrap();
        for word in [1_795_399_800 + u32::try_from(at).unwrap(), 0, length, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(packet);
    }
    bytes
}

#[test]
fn softflowd_is_understood_in_each_version() {
    let Some(program) = softflowd() else {
        eprintln!("skipped: no softflowd");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let port = ports::free();
    let config = folder.path().join("nhatle.toml");
    std::fs::write(&config, format!("[collector]\nnetflow = \"127.0.0.1:{port}\"\n")).unwrap();
    let client = ([192, 0, 2, 9], 40_000);
    let server = ([203, 0, 113, 9], 443);
    let packets = [
        packet(client, server, 6, 100),
        packet(server, client, 6, 900),
        packet(([192, 0, 2, 9], 5_353), ([198, 51, 100, 53], 53), 17, 40),
    ];
    let pcap = folder.path().join("x.pcap");
    std::fs::write(&pcap, capture(&packets)).unwrap();
    let running = Server::start(&data, &["--config", config.to_str().unwrap()]);
    for (round, version) in [5, 9, 10].into_iter().enumerate() {
        let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
        let libraries = libraries.map(|part| program.join(part).display().to_string()).join(":");
        let status = Command::new(program.join("usr/sbin/softflowd"))
            .args(["-d", "-c", "none", "-n", &format!("127.0.0.1:{port}"), "-v", &version.to_string(), "-r"])
            .arg(&pcap)
            .arg("-p")
            .arg(folder.path().join("pid"))
            .env("LD_LIBRARY_PATH", libraries)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "softflowd -v {version}: {status}");
        let wanted = (round + 1) * 3;
        let found = || -> usize {
            let data = data.to_str().unwrap();
            stdout(&["search", "event.action:netflow_flow", "--data", data, "--count"]).trim().parse().unwrap()
        };
        wait_for("the flows are stored", PATIENCE, || wanted <= found());
        assert_eq!(found(), wanted, "version {version}");
    }
    let search = |text: &str| -> Vec<serde_json::Value> {
        let text = stdout(&["search", text, "--data", data.to_str().unwrap(), "--format", "jsonl"]);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    // The same three flows in each version.
    let flows = search("event.action:netflow_flow");
    for (source, port, bytes) in [("192.0.2.9", 443, 140), ("203.0.113.9", 40_000, 940), ("192.0.2.9", 53, 68)] {
        let alike = flows.iter().filter(|flow| {
            flow["source.ip"] == source && flow["destination.port"] == port && flow["source.bytes"] == bytes
        });
        let mut versions: Vec<i64> = alike.filter_map(|flow| flow["netflow.exporter.version"].as_i64()).collect();
        versions.sort_unstable();
        assert_eq!(versions, [5, 9, 10], "{source} to port {port}: {flows:#?}");
    }
    let options = search("event.action:netflow_options");
    assert_eq!(options.len(), 2, "v9 and IPFIX tell of the exporter: {options:#?}");
    running.stop();
    // Everything came, and the numbers of a real exporter say so.
    let bearer = format!("Bearer {}", token(&data, "xem", "admin", None));
    let running = Server::start(&data, &["--config", config.to_str().unwrap()]);
    let rows = sources(&running, &bearer);
    assert!(!rows.is_empty() && rows.iter().all(|row| row["missing"] == 0), "{rows:#?}");
    running.stop();
}

fn sources(server: &Server, bearer: &str) -> Vec<serde_json::Value> {
    let page = request(server.http, "GET", "/api/v1/sources", &[("Authorization", bearer)], b"").unwrap().json();
    page["sources"].as_array().unwrap().clone()
}

/// A server with an input for flows and one for syslog over UDP, and somebody who may look.
fn watched(folder: &Path) -> (Server, String) {
    let data = folder.join("data");
    let bearer = format!("Bearer {}", token(&data, "xem", "admin", None));
    let config = folder.join("nhatle.toml");
    std::fs::write(&config, "[collector]\nnetflow = \"127.0.0.1:0\"\n[canary]\nenabled = false\n").unwrap();
    (Server::start(&data, &["--config", config.to_str().unwrap()]), bearer)
}

/// A packet of version 5 with two flows: header and records of zeros.
fn v5(sequence: u32) -> Vec<u8> {
    let mut packet = vec![0, 5, 0, 2];
    packet.extend([0, 0, 0x27, 0x10]);
    packet.extend([1_795_399_800_u32.to_be_bytes(), [0; 4], sequence.to_be_bytes(), [0; 4]].concat());
    packet.extend([0; 96]);
    packet
}

/// A packet of version 9 with no set in it: its number counts all the same.
fn v9(sequence: u32) -> Vec<u8> {
    let words = [0x0009_0000, 10_000, 1_795_399_800, sequence, 3];
    words.iter().flat_map(|word: &u32| word.to_be_bytes()).collect()
}

/// A packet of IPFIX with a template and `count` records of one byte.
fn ipfix(sequence: u32, count: u8) -> Vec<u8> {
    let template = [0, 2, 0, 12, 1, 0, 0, 1, 0, 4, 0, 1];
    let data = [&[1, 0, 0, 4 + count][..], &vec![6; usize::from(count)]].concat();
    let length = u8::try_from(16 + template.len() + data.len()).unwrap();
    let mut packet = vec![0, 10, 0, length];
    packet.extend([1_795_399_800_u32.to_be_bytes(), sequence.to_be_bytes(), 9_u32.to_be_bytes()].concat());
    packet.extend(template);
    packet.extend(data);
    packet
}

#[test]
fn numbers_of_flows_that_never_came_are_named_by_range_in_the_receipt_book() {
    let folder = tempfile::tempdir().unwrap();
    let (server, bearer) = watched(folder.path());
    let exporter = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = server.address("netflow");
    // Flows 1004 to 1009; packets 52 and 53, 55 came late; records 204 to 210.
    for packet in [v5(1000), v5(1002), v5(1010), v9(50), v9(51), v9(54), v9(56), v9(55), ipfix(200, 4), ipfix(211, 3)] {
        exporter.send_to(&packet, to).unwrap();
    }
    let gaps = |rows: &[serde_json::Value]| -> Vec<(u64, u64)> {
        let gaps = rows.iter().flat_map(|row| row["gaps"].as_array().unwrap());
        let mut gaps: Vec<_> =
            gaps.map(|gap| (gap["first"].as_u64().unwrap(), gap["last"].as_u64().unwrap())).collect();
        gaps.sort_unstable();
        gaps
    };
    let expected = [(52, 53), (204, 210), (1004, 1009)];
    // What is late may come for five seconds.
    wait_for("the gaps are named", PATIENCE, || gaps(&sources(&server, &bearer)) == expected);
    let rows = sources(&server, &bearer);
    let row = rows.iter().find(|row| row["missing"] != 0).unwrap();
    assert_eq!(
        (&row["name"], &row["missing"], &row["received"]),
        (&"127.0.0.1".into(), &15.into(), &13.into()),
        "{row}"
    );
    // At the end nothing waits any longer: packet 57 is named when the input ends.
    exporter.send_to(&v9(58), to).unwrap();
    server.stop();
    let (server, bearer) = (watched_again(folder.path()), bearer);
    assert_eq!(gaps(&sources(&server, &bearer)), [(52, 53), (57, 57), (204, 210), (1004, 1009)]);
    server.stop();
}

fn watched_again(folder: &Path) -> Server {
    Server::start(&folder.join("data"), &["--config", folder.join("nhatle.toml").to_str().unwrap()])
}
