//! The files that paths name: folders are walked.
//!
//! In: paths. Out: files, in order of name. Failure: a path that cannot be read, or a bound that is passed, ends it.

use std::path::{Path, PathBuf};

use super::file::{FileError, STANDARD_INPUT};

/// How deep folders are followed.
pub const FOLDER_DEPTH_MAX: usize = 32;
/// How many files one call reads.
pub const FILES_MAX: usize = 1_000_000;

/// The files that paths name: a file itself, and everything below a folder, in order of name. Names that
/// begin with a dot are passed over below folders.
///
/// # Errors
/// A path cannot be read, or a bound is passed.
pub fn files_below(paths: &[PathBuf]) -> Result<Vec<PathBuf>, FileError> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == STANDARD_INPUT {
            files.push(path.clone());
            continue;
        }
        collect(path, 0, &mut files)?;
    }
    Ok(files)
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), FileError> {
    let read_error = |source| FileError::Read { path: path.to_owned(), source };
    if FOLDER_DEPTH_MAX < depth || FILES_MAX <= files.len() {
        return Err(FileError::TooMany { path: path.to_owned() });
    }
    let metadata = std::fs::metadata(path).map_err(read_error)?;
    if !metadata.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries: Result<Vec<_>, _> = std::fs::read_dir(path).map_err(read_error)?.collect();
    let mut inside: Vec<_> = entries.map_err(read_error)?.into_iter().map(|entry| entry.path()).collect();
    inside.sort();
    for path in inside {
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        // A link that leads nowhere is no file.
        if !is_hidden && path.exists() {
            collect(&path, depth + 1, files)?;
        }
    }
    Ok(())
}
