//! Second parties: heads of one server go to a file and to another server, and a store that is put back is noticed by
//! all of them.

use std::path::Path;

use nhatle_storage::proof::head;

use crate::proof::copy;
use crate::support::{PATIENCE, Server, request, stdout, token, wait_for};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The heads of a file, all of them whole.
fn heads(path: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    head::read_all(&text).into_iter().map(|head| head.unwrap().head.size).collect()
}

/// The explanations of alerts that a log was contradicted.
fn raised(data: &Path) -> String {
    stdout(&["search", "--data", text(data), "rule.id:nhatle-proof-contradicted"])
}

#[test]
fn a_store_that_was_put_back_is_noticed_by_its_copies_and_its_witness() {
    let folder = tempfile::tempdir().unwrap();
    let (city, province) = (folder.path().join("city"), folder.path().join("province"));
    token(&city, "first", "ingest", None);
    // The first start makes the key, which the province is given.
    Server::start_without_sentinel(&city, &[]).stop();
    let key = std::fs::read_to_string(city.join("pki/proof.pub")).unwrap();
    let config = |name: &str, proof: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("[sentinel]\nenabled = false\n[proof]\n{proof}")).unwrap();
        path
    };
    let take = config("province.conf.toml", &format!("take = [\"{}\"]\n", key.trim()));
    let witness = Server::start(&province, &["--config", text(&take)]);
    let kept = folder.path().join("kept.heads");
    let give = format!("copies = [\"{}\"]\n[[proof.witness]]\nurl = \"http://{}\"\n", kept.display(), witness.http);
    let give = config("city.conf.toml", &give);

    let server = Server::start(&city, &["--config", text(&give)]);
    wait_for("the first head", PATIENCE, || !heads(&kept).is_empty());
    server.stop();
    let yesterday = folder.path().join("yesterday");
    copy(&city, &yesterday);
    token(&city, "second", "ingest", None);
    let server = Server::start(&city, &["--config", text(&give)]);
    let before = *heads(&kept).last().unwrap();
    wait_for("a later head", PATIENCE, || before < *heads(&kept).last().unwrap());
    let others = province.join("proof/others");
    let known = || std::fs::read_dir(&others).into_iter().flatten().map(|entry| heads(&entry.unwrap().path())).next();
    let newest = *heads(&kept).last().unwrap();
    wait_for("the head at the province", PATIENCE, || known().is_some_and(|known| known.last() == Some(&newest)));
    // Stopping may sign once more, and gives that away too.
    server.stop();
    let newest = *heads(&kept).last().unwrap();
    assert_eq!(known().unwrap().last(), Some(&newest));
    assert!(raised(&city).is_empty() && raised(&province).is_empty(), "nothing is wrong yet");

    // A head of nobody, and one that nobody asked for, are refused.
    for (body, status) in [
        ("old 0\n\nnothing", 400),
        ("old 0\n\nother\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— other AAAAAAA=\n", 404),
    ] {
        let answer = request(witness.http, "POST", "/api/v1/proof/add-checkpoint", &[], body.as_bytes()).unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
    }

    std::fs::remove_dir_all(&city).unwrap();
    copy(&yesterday, &city);
    let server = Server::start(&city, &["--config", text(&give)]);
    wait_for("the city's alert", PATIENCE, || !raised(&city).is_empty());
    wait_for("the province's alert", PATIENCE, || !raised(&province).is_empty());
    server.stop();
    let grown = heads(&kept);
    assert_eq!(grown.last(), Some(&newest), "what was kept is still there, and nothing older behind it");
    witness.stop();
}
