//! Files on the way through a socket: their bytes in frames, so that one that breaks off is not taken for one that ends.
//!
//! A frame is a length (four bytes, little-endian) and so many bytes; a length of zero ends the file, [`BROKEN`] says that it
//! could not be read on.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Next;

/// A frame has at most so many bytes.
const FRAME_BYTES_MAX: u32 = 64 << 10;
/// The length that says that the file could not be read to its end.
const BROKEN: u32 = u32::MAX;
/// How often it is looked whether the server ends.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Sends what `from` gives, to its end. The inner error is of `from`: the other side knows, and the next file may follow.
///
/// # Errors
/// The socket's.
pub fn send(from: &mut impl Read, to: &mut impl Write) -> io::Result<Result<(), io::Error>> {
    let mut bytes = vec![0; FRAME_BYTES_MAX as usize];
    loop {
        let read = match from.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                to.write_all(&BROKEN.to_le_bytes())?;
                return Ok(Err(error));
            }
            Ok(read) => read,
        };
        to.write_all(&u32::try_from(read).unwrap_or(0).to_le_bytes())?;
        if read == 0 {
            return Ok(Ok(()));
        }
        to.write_all(bytes.get(..read).unwrap_or_default())?;
    }
}

/// Why nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The command is gone, or sends what is no file.
    Gone,
    /// The server ends.
    Stopping,
}

/// The reading side of a socket.
pub struct Wire {
    from: BufReader<UnixStream>,
    is_stopping: Arc<AtomicBool>,
    /// So much of the frame is still to come.
    left: u32,
    is_in_file: bool,
    broken: Option<Broken>,
    /// The command could not read the file on, and says so itself.
    is_cut: bool,
}

impl Wire {
    /// Of a socket.
    ///
    /// # Errors
    /// The socket's.
    pub fn new(from: UnixStream, is_stopping: Arc<AtomicBool>) -> io::Result<Wire> {
        from.set_read_timeout(Some(LOOK_INTERVAL))?;
        let from = BufReader::with_capacity(1 << 16, from);
        Ok(Wire { from, is_stopping, left: 0, is_in_file: false, broken: None, is_cut: false })
    }

    /// Reads a line of JSON.
    ///
    /// # Errors
    /// The socket's; it is no such line.
    pub fn line<T: for<'de> serde::Deserialize<'de>>(&mut self) -> io::Result<T> {
        let told = super::read_line(&mut Patient(self))?;
        told.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// What comes next: a file, or the end.
    ///
    /// # Errors
    /// Why nothing more comes.
    pub fn next_file(&mut self) -> Result<Next, Broken> {
        let next = self.line();
        self.is_in_file = matches!(next, Ok(Next::File { .. }));
        (self.left, self.is_cut) = (0, false);
        next.map_err(|_error| *self.broken.get_or_insert(Broken::Gone))
    }

    /// Whether the file came whole; what is left of it is passed over.
    ///
    /// # Errors
    /// Why nothing more comes.
    pub fn end_file(&mut self) -> Result<bool, Broken> {
        let mut rest = [0; 4096];
        while self.is_in_file {
            // Its error is `broken`, or that the file was cut.
            if self.read_file(&mut rest).is_err() && self.broken.is_some() {
                break;
            }
        }
        self.broken.map_or(Ok(!self.is_cut), Err)
    }

    fn read_file(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() || !self.is_in_file {
            return if self.is_cut { Err(cut()) } else { Ok(0) };
        }
        if self.left == 0 {
            let mut length = [0; 4];
            Patient(self).read_exact(&mut length).map_err(|error| self.gone(error))?;
            match u32::from_le_bytes(length) {
                0 => {
                    self.is_in_file = false;
                    return Ok(0);
                }
                BROKEN => {
                    (self.is_in_file, self.is_cut) = (false, true);
                    return Err(cut());
                }
                length if FRAME_BYTES_MAX < length => return Err(self.gone(io::ErrorKind::InvalidData.into())),
                length => self.left = length,
            }
        }
        let wanted = into.len().min(self.left as usize);
        match Patient(self).read(into.get_mut(..wanted).unwrap_or_default()) {
            Ok(0) => Err(self.gone(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => {
                self.left -= u32::try_from(read).unwrap_or(self.left);
                Ok(read)
            }
            Err(error) => Err(self.gone(error)),
        }
    }

    fn gone(&mut self, error: io::Error) -> io::Error {
        self.broken.get_or_insert(Broken::Gone);
        error
    }
}

fn cut() -> io::Error {
    io::Error::other("it could not be read on")
}

/// Reads on where nothing came for a while, until the server ends.
struct Patient<'a>(&'a mut Wire);

impl Patient<'_> {
    fn wait(&mut self, error: io::Error) -> io::Result<()> {
        let is_quiet =
            matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted);
        if !is_quiet {
            return Err(error);
        }
        if self.0.is_stopping.load(Ordering::Relaxed) {
            self.0.broken = Some(Broken::Stopping);
            return Err(io::Error::other("the server ends"));
        }
        Ok(())
    }
}

impl Read for Patient<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.from.read(into) {
                Err(error) => self.wait(error)?,
                read => return read,
            }
        }
    }
}

impl BufRead for Patient<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.0.from.fill_buf().map(<[u8]>::len) {
                Err(error) => self.wait(error)?,
                // It is there: this does not read again.
                Ok(_) => return self.0.from.fill_buf(),
            }
        }
    }

    fn consume(&mut self, used: usize) {
        self.0.from.consume(used);
    }
}

/// The bytes of the file that is on its way, for whoever reads files.
#[derive(Clone)]
pub struct FileBytes(pub Arc<Mutex<Wire>>);

impl FileBytes {
    /// The wire itself.
    pub fn wire(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for FileBytes {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.wire().read_file(into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What arrives of files whose bytes were sent by `send`, the connection closed behind it.
    fn arrives(send: impl FnOnce(&mut UnixStream) + Send + 'static) -> Vec<(Vec<u8>, Result<bool, Broken>)> {
        let (mut near, far) = UnixStream::pair().expect("a pair");
        let sending = std::thread::spawn(move || send(&mut near));
        let bytes = FileBytes(Arc::new(Mutex::new(Wire::new(far, Arc::default()).expect("a wire"))));
        let mut all = Vec::new();
        loop {
            let next = bytes.wire().next_file();
            match next {
                Ok(Next::File { .. }) => {}
                _ => break,
            }
            let mut read = Vec::new();
            drop(bytes.clone().read_to_end(&mut read));
            all.push((read, bytes.wire().end_file()));
        }
        sending.join().expect("it does not panic");
        all
    }

    fn file() -> Next {
        Next::File { path: "a".to_owned(), modified_ns: None }
    }

    struct Bad;

    impl Read for Bad {
        fn read(&mut self, _into: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("bad block"))
        }
    }

    #[test]
    fn files_arrive_as_they_were_sent_and_a_torn_one_is_told() {
        let long = vec![7; 300_000];
        let expected = long.clone();
        let all = arrives(move |to| {
            for bytes in [&long[..], b""] {
                super::super::write_line(to, &file()).expect("is sent");
                send(&mut &bytes[..], to).expect("is sent").expect("is read");
            }
            super::super::write_line(to, &file()).expect("is sent");
            send(&mut b"front".chain(Bad), to).expect("is sent").expect_err("cannot be read");
            super::super::write_line(to, &file()).expect("is sent");
            to.write_all(&9u32.to_le_bytes()).expect("is sent");
            to.write_all(b"torn").expect("is sent");
        });
        assert_eq!(all[0], (expected, Ok(true)));
        assert_eq!(all[1], (Vec::new(), Ok(true)));
        assert_eq!(all[2], (b"front".to_vec(), Ok(false)));
        assert_eq!(all[3], (b"torn".to_vec(), Err(Broken::Gone)));
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn a_frame_longer_than_allowed_is_no_file() {
        let all = arrives(|to| {
            super::super::write_line(to, &file()).expect("is sent");
            to.write_all(&(FRAME_BYTES_MAX + 1).to_le_bytes()).expect("is sent");
        });
        assert_eq!(all, [(Vec::new(), Err(Broken::Gone))]);
    }

    #[test]
    fn who_waits_for_bytes_hears_that_the_server_ends() {
        let (_near, far) = UnixStream::pair().expect("a pair");
        let mut wire = Wire::new(far, Arc::new(AtomicBool::new(true))).expect("a wire");
        assert_eq!(wire.next_file(), Err(Broken::Stopping));
    }
}
