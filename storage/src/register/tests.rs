//! The register: order, conflicts, and that any altered row is found.

use super::*;

fn change(stream: &str, text: &str) -> NewChange {
    NewChange {
        stream: stream.into(),
        kind: "note".into(),
        json: format!("{{\"text\":\"{text}\"}}"),
        actor: "lan".into(),
        at: Timestamp(7),
    }
}

async fn filled(folder: &Path) -> Register {
    let register = Register::open(folder).await.expect("opens");
    let first = [change("incident/1", "một"), change("incident/2", "hai")];
    register.append(0, &first).await.expect("appends");
    register.append(2, &[change("incident/1", "ba")]).await.expect("appends");
    register
}

#[tokio::test]
async fn entries_come_back_in_order_and_chained() {
    let folder = tempfile::tempdir().expect("a folder");
    let register = filled(folder.path()).await;
    let entries = register.read_after(0, 10).await.expect("reads");
    let places: Vec<_> = entries.iter().map(|entry| (entry.id, entry.version)).collect();
    assert_eq!(places, [(1, 1), (2, 1), (3, 2)]);
    assert_eq!(entries[2].prev_hash, entries[1].hash);
    assert_eq!(verify(folder.path()).await, []);
}

#[tokio::test]
async fn a_writer_that_missed_an_entry_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let register = filled(folder.path()).await;
    let refused = register.append(2, &[change("incident/3", "x")]).await;
    assert!(matches!(refused, Err(RegisterError::Conflict { expected: 2 })));
    let large = NewChange { json: "x".repeat(CHANGE_BYTES_MAX + 1), ..change("a", "") };
    assert!(matches!(register.append(3, &[large]).await, Err(RegisterError::TooLarge { .. })));
    assert_eq!(register.read_after(3, 10).await.expect("reads"), []);
}

#[tokio::test]
async fn an_altered_or_missing_row_is_named() {
    let statements: [(&'static str, i64); 4] = [
        ("UPDATE change_log SET json = '{\"text\":\"hAi\"}' WHERE id = 2", 2),
        ("UPDATE change_log SET actor = 'someone' WHERE id = 1", 1),
        ("UPDATE change_log SET at_ns = 8 WHERE id = 3", 3),
        ("DELETE FROM change_log WHERE id = 2", 3),
    ];
    for (statement, row) in statements {
        let folder = tempfile::tempdir().expect("a folder");
        let register = filled(folder.path()).await;
        sqlx::query(statement).execute(&register.pool).await.expect("runs");
        register.close().await;
        let damage = verify(folder.path()).await;
        assert_eq!(damage.first().and_then(|one| one.row), Some(row), "{statement}");
        assert!(damage[0].offset.is_some(), "{statement}");
    }
}

#[tokio::test]
async fn a_byte_changed_in_the_file_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    filled(folder.path()).await.close().await;
    let path = folder.path().join(FILE_NAME);
    let mut bytes = std::fs::read(&path).expect("reads");
    let at = bytes.windows(6).position(|window| window == b"\"hai\"}").expect("the text stands in the file");
    bytes[at + 1] = b'H';
    std::fs::write(&path, bytes).expect("writes");
    let damage = verify(folder.path()).await;
    assert_eq!(damage.iter().map(|one| one.row).collect::<Vec<_>>(), [Some(2)]);
}

#[tokio::test]
async fn a_flipped_bit_is_named_or_changes_nothing_that_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let register = filled(folder.path()).await;
    let many: Vec<NewChange> = (0..60).map(|at| change(&format!("incident/{at}"), &"nhiều chữ ".repeat(9))).collect();
    register.append(3, &many).await.expect("appends");
    let expected = register.read_after(0, 1_000).await.expect("reads");
    register.close().await;
    let bytes = std::fs::read(folder.path().join(FILE_NAME)).expect("reads");
    let (mut named, mut silent) = (0, 0);
    for at in (0..bytes.len()).step_by(bytes.len() / 220) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(folder.path().join(FILE_NAME), flipped).expect("writes");
        if !verify(folder.path()).await.is_empty() {
            named += 1;
            continue;
        }
        silent += 1;
        // Room that no row has, and counters: what is read is what was written, also through the index.
        let register = Register::open_read_only(folder.path()).await.expect("opens");
        assert_eq!(register.read_after(0, 1_000).await.expect("reads"), expected, "byte {at}");
        let of_stream = register.read_stream("incident/59").await.expect("reads");
        assert_eq!(of_stream.len(), 1, "byte {at}");
        register.close().await;
    }
    println!("{named} of {} flipped bits are named, the others change nothing", named + silent);
    assert!(100 < named, "{named} named, {silent} not");
}
