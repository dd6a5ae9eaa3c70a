//! What a check found, in Vietnamese. In: the sentence as `nhatle verify` prints it. Out: the same in Vietnamese, with its
//! numbers, names and hashes as they are; `None` where it is a sentence of somebody else (the system, SQLite, JSON), which
//! stays as it is. The sentences of the checks stand in `nhatle_storage::proof::check`, `proof::stamp`, `wal`, `manifest`, `segment` and
//! `register`; a new one there has its line here.

/// English, Vietnamese; `{}` stands for what varies, in the same order in both. The first that fits is taken.
const SENTENCES: &[(&str, &str)] = &[
    // Files, segments, log, manifest.
    ("expected {}, found {}", "cần có {}, thấy {}"),
    ("not there, or of another length", "không có, hoặc có độ dài khác"),
    ("a segment in {}, which is no segment's place", "một đoạn nằm ở {}, không phải chỗ của đoạn"),
    ("a segment of version {}", "một đoạn phiên bản {}"),
    ("the manifest names no such file", "tệp kê không nêu tệp nào như vậy"),
    ("{} rows where the manifest has {}", "{} dòng, còn tệp kê ghi {}"),
    ("its rows are not those of the manifest in order", "các dòng không phải các dòng theo thứ tự của tệp kê"),
    ("fewer rows than asked for", "ít dòng hơn số cần đọc"),
    // The register.
    ("rows {} to {} are missing", "thiếu các dòng {} đến {}"),
    ("does not follow the row before it", "không nối tiếp dòng trước"),
    ("does not have the hash it was written with", "không có mã băm như lúc ghi"),
    ("cannot be read: {}", "không đọc được: {}"),
    (
        "it has {} rows, leaf {} of the log says {}: it was put back to an older state",
        "có {} dòng, còn mục {} của nhật ký chứng minh ghi {}: đã bị đưa về trạng thái cũ hơn",
    ),
    (
        "its first {} rows are not those of leaf {} of the log: a row was written anew",
        "{} dòng đầu không phải các dòng mà mục {} của nhật ký chứng minh ghi: có dòng đã bị viết lại",
    ),
    // Log, tree and heads of the proof.
    ("leaf {} is none: {}", "mục {} không phải là một mục: {}"),
    ("leaf {} is not the one that was signed", "mục {} không phải mục đã được ký"),
    (
        "leaf {} names a key again: heads were taken out, or another key signed meanwhile",
        "mục {} lại nêu một khóa: có head đã bị bỏ, hoặc trong lúc đó một khóa khác đã ký",
    ),
    (
        "among leaves {} to {} is one that was not signed so",
        "trong các mục {} đến {} có mục không đúng như lúc được ký",
    ),
    (
        "the hash of subtree {} of level {} is not that of the log",
        "mã băm của cây con {} ở tầng {} không phải của nhật ký chứng minh",
    ),
    (
        "head {} over {} leaves is not signed by the key of this log",
        "head {} trên {} mục không được ký bằng khóa của nhật ký chứng minh này",
    ),
    (
        "head {} over {} leaves is of a longer log: this one has only {} leaves",
        "head {} trên {} mục là của một nhật ký dài hơn: nhật ký này chỉ có {} mục",
    ),
    (
        "head {} over {} leaves has root {}, the log comes to {}",
        "head {} trên {} mục có gốc {}, còn nhật ký chứng minh tính ra {}",
    ),
    ("head {} is not past the one before it", "head {} không đi xa hơn head trước nó"),
    ("head {}: {}", "head {}: {}"),
    ("leaf {}: {}", "mục {}: {}"),
    (
        "segment {} (leaf {}: {} {}, Seq {} to {}) is missing and was never dropped",
        "đoạn {} (mục {}: {} {}, Seq {} đến {}) bị thiếu mà chưa bao giờ được bỏ",
    ),
    (
        "what it says of segment {} is not what leaf {} of the log says",
        "điều nó ghi về đoạn {} không phải điều mục {} của nhật ký chứng minh ghi",
    ),
    (
        "segment {} is in no leaf of the log: it was put in later",
        "đoạn {} không có trong mục nào của nhật ký chứng minh: nó được đưa vào sau",
    ),
    (
        "its events come to the root {}, it was sealed with {}",
        "các sự kiện của nó tính ra gốc {}, còn lúc niêm phong là {}",
    ),
    // What was erased.
    (
        "event {} is called erased by erasure {}, the log does not say so (and {} more)",
        "sự kiện {} được ghi là đã xóa theo lần xóa {}, nhật ký chứng minh không ghi như vậy (và {} sự kiện nữa)",
    ),
    ("leaf {} says another root of {} than it was sealed with", "mục {} ghi một gốc của {} khác với lúc niêm phong"),
    ("it does not begin with the line {}", "không bắt đầu bằng dòng {}"),
    ("line {} is none", "dòng {} không phải là một dòng của tệp"),
    ("line {} is not in order", "dòng {} không đúng thứ tự"),
    ("no head was signed with the key given: {}", "không head nào được ký bằng khóa đã cho: {}"),
    ("there is no signed head: they were taken out", "không có head nào đã ký: chúng đã bị bỏ đi"),
    ("there is no signed head", "không có head nào đã ký"),
    (
        "the last {} leaves are under no head: heads were cut off, or could not be written",
        "{} mục cuối không nằm dưới head nào: các head đã bị cắt, hoặc không ghi được",
    ),
    (
        "the key was lost or replaced: from leaf {} on heads are signed with {}, and no key before it vouched for that; \
         give --key with this one if the city handed it out",
        "khóa đã mất hoặc bị thay: từ mục {} trở đi các head được ký bằng {}, và không khóa nào trước đó bảo chứng; nếu \
         thành phố đã phát khóa này thì chạy với --key",
    ),
    (
        "is no key of the log: it was replaced, and nothing is signed with it yet",
        "không phải khóa của nhật ký chứng minh: nó đã bị thay, và chưa có gì được ký bằng nó",
    ),
    // Heads that somebody kept.
    (
        "the store has no log, the head says {} leaves: it is another store, or it was put back",
        "kho không có nhật ký chứng minh, còn head ghi {} mục: đây là kho khác, hoặc kho đã bị đưa về bản cũ",
    ),
    ("the head is not signed by a key of this store", "head không được ký bằng khóa của kho này"),
    (
        "the store was put back to an older state: the head of {} covers {} leaves, the log has {}",
        "kho đã bị đưa về trạng thái cũ hơn: head lúc {} gồm {} mục, nhật ký chứng minh có {}",
    ),
    (
        "the log was written anew: over its first {} leaves the head has root {}, the log comes to {}",
        "nhật ký chứng minh đã bị viết lại: trên {} mục đầu head có gốc {}, nhật ký tính ra {}",
    ),
    // Time-stamps.
    ("longer than {} bytes", "dài hơn {} byte"),
    ("a head over {} leaves", "một head trên {} mục"),
    ("no time-stamp: {}", "không phải dấu thời gian: {}"),
    ("no request for a time-stamp: {}", "không phải yêu cầu dấu thời gian: {}"),
    ("the time-stamping authority did not grant it: status {}", "tổ chức cấp dấu thời gian không cấp: trạng thái {}"),
    ("the answer has no token", "câu trả lời không có dấu thời gian"),
    ("the time-stamp is of another hash than SHA-256", "dấu thời gian dùng mã băm khác SHA-256"),
    (
        "the time-stamp is of other bytes than those of the head",
        "dấu thời gian là của các byte khác, không phải của head",
    ),
    (
        "the time-stamp answers another request: its nonce is not ours",
        "dấu thời gian trả lời một yêu cầu khác: số ngẫu nhiên (nonce) không khớp",
    ),
    ("the time-stamp came without the certificate of its signer", "dấu thời gian không kèm chứng thư của bên ký"),
    ("the certificate of the time-stamp is none: {}", "chứng thư của dấu thời gian không đọc được: {}"),
    ("what is signed is not the content of the time-stamp", "phần được ký không phải nội dung của dấu thời gian"),
    (
        "the time-stamp was signed for another certificate than the one that came with it",
        "dấu thời gian được ký cho chứng thư khác với chứng thư đi kèm",
    ),
    ("the time-stamp is signed in a way that is not known", "dấu thời gian được ký theo cách chưa biết"),
    ("the signature of the time-stamp does not hold", "chữ ký của dấu thời gian không đúng"),
    (
        "the certificate is not one for time-stamps and nothing else",
        "chứng thư không phải loại chỉ dùng cho dấu thời gian",
    ),
    (
        "the certificate does not mark its use for time-stamps as critical",
        "chứng thư không đánh dấu bắt buộc (critical) cho mục đích dấu thời gian",
    ),
    ("a certificate had expired at the time of the time-stamp", "có chứng thư đã hết hạn vào lúc cấp dấu thời gian"),
    (
        "a certificate was not valid yet at the time of the time-stamp",
        "có chứng thư chưa có hiệu lực vào lúc cấp dấu thời gian",
    ),
    (
        "no authority that is known vouched for the certificate of the time-stamp",
        "không tổ chức nào được khai báo bảo chứng cho chứng thư của dấu thời gian",
    ),
    ("the chain of the time-stamp's certificate does not hold: {}", "chuỗi chứng thư của dấu thời gian không đúng: {}"),
    // Files of `state/`.
    (
        "{}: its bytes are not those of its checksum, they come to {}",
        "{}: các byte không khớp mã kiểm tra, chúng cho ra {}",
    ),
    ("{}: expected the line {}, found other bytes", "{}: cần có dòng {}, thấy các byte khác"),
];

/// What stands inside of `expected {}, found {}`.
const THINGS: &[(&str, &str)] = &[
    ("other bytes", "các byte khác"),
    ("no block", "không có khối nào"),
    ("none, but number {}", "không có, mà là số {}"),
    ("one of {} bytes", "tệp {} byte"),
    ("a file of {} bytes", "tệp {} byte"),
    ("a file before it of {} bytes", "tệp trước nó dài {} byte"),
    ("bytes {} with checksum {}", "các byte {} với mã kiểm tra {}"),
    ("bytes with checksum {}", "các byte với mã kiểm tra {}"),
    ("checksum {}", "mã kiểm tra {}"),
    ("a log file", "một tệp nhật ký ghi trước"),
    ("a whole frame with Seq {}", "một khung trọn vẹn với Seq {}"),
    ("the line {}", "dòng {}"),
    ("number {}", "số {}"),
    ("the magic of a log file", "dấu đầu tệp nhật ký ghi trước"),
    ("log version {}", "nhật ký phiên bản {}"),
    ("the checksum of the header", "mã kiểm tra của phần đầu"),
    ("more bytes", "thêm byte"),
    ("leaf {}", "mục {}"),
];

/// The sentence in Vietnamese.
pub fn vietnamese(what: &str) -> Option<String> {
    SENTENCES.iter().find_map(|(english, vietnamese)| {
        let parts = parts(english, what)?;
        let parts: Vec<String> = match english.starts_with("expected ") {
            true => parts.into_iter().map(thing).collect(),
            false => parts.into_iter().map(str::to_owned).collect(),
        };
        Some(filled(vietnamese, &parts))
    })
}

fn thing(what: &str) -> String {
    let found = THINGS.iter().find_map(|(english, vietnamese)| {
        let parts: Vec<String> = parts(english, what)?.into_iter().map(str::to_owned).collect();
        Some(filled(vietnamese, &parts))
    });
    found.unwrap_or_else(|| what.to_owned())
}

/// What stands in the places of a pattern, where the text has its form; the shortest that fits, the last one to the end.
fn parts<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut literals = pattern.split("{}");
    let mut rest = text.strip_prefix(literals.next()?)?;
    let mut parts = Vec::new();
    let mut literals = literals.peekable();
    if literals.peek().is_none() {
        return rest.is_empty().then_some(parts);
    }
    while let Some(literal) = literals.next() {
        let end = match literals.peek() {
            Some(_) => rest.find(literal)?,
            None => rest.len().checked_sub(literal.len()).filter(|_| rest.ends_with(literal))?,
        };
        parts.push(&rest[..end]);
        rest = &rest[end + literal.len()..];
    }
    Some(parts)
}

fn filled(pattern: &str, parts: &[String]) -> String {
    let mut parts = parts.iter();
    let mut out = String::new();
    for (at, literal) in pattern.split("{}").enumerate() {
        if 0 < at {
            out.push_str(parts.next().map_or("", String::as_str));
        }
        out.push_str(literal);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_is_said_with_its_numbers_and_those_of_others_stay() {
        for (english, vietnamese_of) in SENTENCES.iter().chain(THINGS) {
            assert_eq!(english.matches("{}").count(), vietnamese_of.matches("{}").count(), "{english}");
        }
        for (english, _) in SENTENCES {
            let parts: Vec<String> = (0..english.matches("{}").count()).map(|at| format!("n{at}")).collect();
            let said = vietnamese(&filled(english, &parts)).unwrap_or_else(|| panic!("{english}"));
            assert!(parts.iter().all(|part| said.contains(part.as_str())), "{said}");
            assert!(!said.contains("{}"), "{said}");
        }
        let rows = [
            (
                "expected bytes 65536..131072 with checksum 0badcafe, found 12345678",
                Some("cần có các byte 65536..131072 với mã kiểm tra 0badcafe, thấy 12345678"),
            ),
            (
                "expected a whole frame with Seq 7, found other bytes",
                Some("cần có một khung trọn vẹn với Seq 7, thấy các byte khác"),
            ),
            ("expected leaf 3, found leaf 4", Some("cần có mục 3, thấy mục 4")),
            ("database disk image is malformed", None),
            ("", None),
        ];
        for (english, expected) in rows {
            assert_eq!(vietnamese(english).as_deref(), expected, "{english}");
        }
    }
}
