//! The key that signs heads of the proof: made on the first start and kept, like the city's authority.
//!
//! In: the data folder, whose store the caller has locked for writing. Out: `pki/proof.key` (Ed25519, PKCS #8, PEM, its
//! owner's alone) and `pki/proof.pub` (the public half, as it is handed out). Failure: a file that is no such key is an
//! error, never a new key.

use std::path::{Path, PathBuf};

use nhatle_storage::proof::{KeyKind, SigningKey, VerifierKey, head};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;

use super::{PkiError, read_text, rename, write_file};

/// The key file, below the data folder.
pub const KEY_FILE: &str = "pki/proof.key";

fn path(data: &Path) -> PathBuf {
    data.join(KEY_FILE)
}

/// The key of a data folder; made where there is none.
///
/// # Errors
/// A file cannot be read or written, or holds something else.
pub fn open_or_make(data: &Path) -> Result<SigningKey, PkiError> {
    let path = path(data);
    if !path.exists() {
        let folder = data.join("pki");
        let file = |source| PkiError::File { what: "make", path: folder.clone(), source };
        std::fs::create_dir_all(&folder).map_err(file)?;
        let content = |why: String| PkiError::Content { path: path.clone(), why };
        let der = SigningKey::generate().map_err(|error| content(error.to_string()))?;
        let key = SigningKey::from_pkcs8(&der).map_err(|error| content(error.to_string()))?;
        let public = key.verifier(&head::origin_of(&key.public()), KeyKind::Note).text();
        write_file(&path, pem(&der).as_bytes(), 0o600)?;
        write_file(&data.join(PUBLIC_FILE), format!("{public}\n").as_bytes(), 0o644)?;
    }
    open(data)
}

/// The public half, as it is handed out, below the data folder.
pub const PUBLIC_FILE: &str = "pki/proof.pub";
/// A key that is about to take the place of the one that signs.
const NEXT_FILE: &str = "pki/proof.next.key";

/// Writes the public half as the log has it, where it is not there: a key that follows a lost one has the log's name, not
/// one of its own.
///
/// # Errors
/// A file cannot be read or written.
pub fn publish(data: &Path, key: &VerifierKey) -> Result<(), PkiError> {
    let (path, text) = (data.join(PUBLIC_FILE), format!("{}\n", key.text()));
    match path.exists() && read_text(&path)? == text {
        true => Ok(()),
        false => write_file(&path, text.as_bytes(), 0o644),
    }
}

/// Makes a key that is to follow the one that signs. It signs once [`put_in_place`] was called.
///
/// # Errors
/// No randomness, or a file cannot be written.
pub fn make_next(data: &Path) -> Result<SigningKey, PkiError> {
    let path = data.join(NEXT_FILE);
    let content = |error: nhatle_storage::proof::note::NoteError| PkiError::Content {
        path: path.clone(),
        why: error.to_string(),
    };
    let der = SigningKey::generate().map_err(content)?;
    let key = SigningKey::from_pkcs8(&der).map_err(content)?;
    write_file(&path, pem(&der).as_bytes(), 0o600)?;
    Ok(key)
}

/// Puts the key of [`make_next`] in the place of the one before it, which is gone then.
///
/// # Errors
/// A file cannot be renamed or written.
pub fn put_in_place(data: &Path, key: &VerifierKey) -> Result<(), PkiError> {
    let path = path(data);
    let file = |source| PkiError::File { what: "write", path: path.clone(), source };
    rename(&data.join(NEXT_FILE), &path).map_err(file)?;
    publish(data, key)
}

/// The key of a data folder.
///
/// # Errors
/// There is none, it cannot be read, or it is something else.
pub fn open(data: &Path) -> Result<SigningKey, PkiError> {
    open_file(&path(data))
}

/// The key in this file.
///
/// # Errors
/// It cannot be read, or is something else.
pub fn open_file(path: &Path) -> Result<SigningKey, PkiError> {
    let text = read_text(path)?;
    let wrong = |why: String| PkiError::Content { path: path.to_owned(), why };
    let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|error| wrong(format!("no key: {error}")))?;
    SigningKey::from_pkcs8(der.secret_pkcs8_der()).map_err(|error| wrong(error.to_string()))
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    let lines = base64.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned() + "\n");
    format!("-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----\n", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let data = tempfile::tempdir().expect("a folder");
        assert!(open(data.path()).is_err());
        let first = open_or_make(data.path()).expect("made").public();
        assert_eq!(open_or_make(data.path()).expect("there").public(), first);
        let mode = std::fs::metadata(path(data.path())).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(path(data.path()), "something else").expect("writes");
        assert!(matches!(open_or_make(data.path()), Err(PkiError::Content { .. })));
    }
}
