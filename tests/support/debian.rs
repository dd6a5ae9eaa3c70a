//! Programs of Debian's packages, unpacked into the build folder and never installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder in which these packages are unpacked, unpacking them unless that was done before. `None` where they
/// cannot be had, or the program does not come with them, with a line that says so.
pub fn unpacked(name: &str, packages: &[&str], program: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.join(program).exists() || unpack(&folder, packages).is_some_and(|()| folder.join(program).exists()) {
        return Some(folder);
    }
    eprintln!("skipped: no {}", packages[0]);
    None
}

fn unpack(folder: &Path, packages: &[&str]) -> Option<()> {
    // Beside it first, so that a half-unpacked one is never taken for whole.
    let beside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut download = Command::new("apt-get");
    download.arg("download").args(packages).current_dir(beside.path()).stdout(Stdio::null()).stderr(Stdio::null());
    download.status().ok().filter(std::process::ExitStatus::success)?;
    let root = beside.path().join("root");
    for entry in std::fs::read_dir(beside.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            let status = Command::new("dpkg").arg("-x").args([&path, &root]).status().ok()?;
            status.success().then_some(())?;
        }
    }
    // Another test may have been faster.
    Command::new("mv").arg("-T").args([&root, folder]).stderr(Stdio::null()).status().ok()?;
    Some(())
}

/// The library folders below an unpacked root, for `LD_LIBRARY_PATH`.
pub fn libraries(root: &Path, more: &[&str]) -> String {
    let folders = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].iter().chain(more);
    folders.map(|folder| root.join(folder).display().to_string()).collect::<Vec<_>>().join(":")
}
