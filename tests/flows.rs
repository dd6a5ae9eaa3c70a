//! A real exporter of flows against the real binary: softflowd in NetFlow v5, v9 and IPFIX.
//!
//! softflowd comes from Debian's packages, unpacked into the build folder and never installed, and reads packets that
//! are made here. Where it cannot be had the test says `skipped: no softflowd`.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Server, stdout, wait_for};

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
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
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
        wait_for("the flows are stored", Duration::from_secs(30), || wanted <= found());
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
}
