//! Bytes of a connection: messages of a client read within bounds, answers written within time.
//!
//! In: a stream. Out: [`Asked`], one message of the client; what is sent goes through pgwire's own encoders. Promise: a length
//! word alone takes no memory, no message is longer than the state of the connection allows, no body is read past its end (the
//! decoders of pgwire 0.42 panic there, and a panic ends the whole program, so strangers' bytes are read here), a client that
//! does not read holds no more than [`OUT_BYTES`] and only for [`WRITE_WAIT`]. Failure: [`Broken`].
//! Source: PostgreSQL 15, chapter 55.7 (message formats).

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use pgwire::messages::PgWireBackendMessage;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// The longest first message, as in PostgreSQL.
pub const STARTUP_BYTES_MAX: usize = 10_000;
/// The longest message with a password.
pub const PASSWORD_MESSAGE_BYTES_MAX: usize = 2_000;
/// The longest message of who has signed in.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// The most parameters of a first message.
const STARTUP_PAIRS_MAX: usize = 64;
/// How much is gathered before it is sent.
pub const OUT_BYTES: usize = 64 << 10;
/// How long sending that may take.
pub const WRITE_WAIT: Duration = Duration::from_secs(60);
/// How long a message that has begun may take to come: a sender that trickles holds no place for an hour.
const MESSAGE_WAIT: Duration = Duration::from_secs(60);
/// How much is read ahead while a statement runs.
const AHEAD_BYTES_MAX: usize = 64 << 10;

/// The code of a request for TLS (PostgreSQL 15, chapter 55.7).
const TLS_CODE: u32 = 80_877_103;
/// The code of a request for GSSAPI.
const GSS_CODE: u32 = 80_877_104;
/// The code of a request to cancel.
const CANCEL_CODE: u32 = 80_877_102;

/// A connection, plain or within TLS.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Why a connection ends without an answer.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The other side is gone.
    #[error("the connection is closed")]
    Closed,
    /// A message is longer than it may be here, or is none.
    #[error("{0}")]
    Protocol(&'static str),
    /// The other side does not read.
    #[error("the client does not read its answer")]
    TooSlow,
    /// The system said so.
    #[error("connection")]
    Io(#[from] std::io::Error),
}

/// The first message of a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum First {
    /// TLS is asked for.
    Tls,
    /// GSSAPI is asked for.
    Gss,
    /// Another connection's statement is to end.
    Cancel {
        /// The number of that connection.
        pid: i32,
        /// Its secret.
        key: Bytes,
    },
    /// A session begins.
    Start {
        /// The protocol's minor version.
        minor: u16,
        /// Names and values.
        pairs: Vec<(String, String)>,
    },
    /// A session of another protocol.
    OtherVersion(u16),
}

/// A message of a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// A password.
    Password(String),
    /// Statements as text, to be answered at once.
    Query(String),
    /// A statement to be kept.
    Parse {
        /// Its name; empty = the one without.
        name: String,
        /// Its text.
        text: String,
        /// OIDs of its parameters' types; 0 = not said.
        types: Vec<u32>,
    },
    /// Values for a statement.
    Bind(Bind),
    /// What a statement (`true`) or portal is.
    Describe(bool, String),
    /// Rows of a portal; 0 or less = all.
    Execute(String, i32),
    /// A statement (`true`) or portal is not needed any more.
    Close(bool, String),
    /// Send what is there.
    Flush,
    /// The end of a chain.
    Sync,
    /// The end of the session.
    Terminate,
    /// What belongs to `COPY FROM STDIN`, which is never begun here.
    Copy,
}

/// Values for a statement.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bind {
    /// The portal's name.
    pub portal: String,
    /// The statement's name.
    pub statement: String,
    /// Formats of the values: none = text, one = of all.
    pub formats: Vec<i16>,
    /// The values; `None` = null.
    pub values: Vec<Option<Bytes>>,
    /// Formats of the answer's columns, likewise.
    pub results: Vec<i16>,
}

/// A connection with its buffers.
pub struct Wire<S> {
    stream: S,
    inbox: BytesMut,
    out: BytesMut,
}

impl<S: Stream> Wire<S> {
    /// A connection.
    pub fn new(stream: S) -> Wire<S> {
        Wire { stream, inbox: BytesMut::new(), out: BytesMut::new() }
    }

    /// The stream itself, where nothing was read ahead: who asks for TLS waits for the answer.
    pub fn into_stream(self) -> Option<S> {
        self.inbox.is_empty().then_some(self.stream)
    }

    /// The same connection as one of any kind.
    pub fn boxed(self) -> Wire<Box<dyn Stream>>
    where
        S: 'static,
    {
        Wire { stream: Box::new(self.stream), inbox: self.inbox, out: self.out }
    }

    /// The first message.
    ///
    /// # Errors
    /// As [`Broken`].
    pub async fn first(&mut self) -> Result<First, Broken> {
        let length = self.length(0, STARTUP_BYTES_MAX, 8).await?;
        let body = self.body(4, length - 4).await?;
        first_of(body).ok_or(Broken::Protocol("invalid startup packet"))
    }

    /// The next message, of at most `max` bytes. It may begin whenever it likes, and has to end [`MESSAGE_WAIT`] later.
    ///
    /// # Errors
    /// As [`Broken`].
    pub async fn next(&mut self, max: usize) -> Result<Asked, Broken> {
        self.next_within(max, MESSAGE_WAIT).await
    }

    async fn next_within(&mut self, max: usize, wait: Duration) -> Result<Asked, Broken> {
        self.fill(1).await?;
        timeout(wait, self.rest(max)).await.map_err(|_late| Broken::Protocol("a message did not end in time"))?
    }

    async fn rest(&mut self, max: usize) -> Result<Asked, Broken> {
        let length = self.length(1, max, 4).await?;
        let kind = self.inbox[0];
        let body = self.body(5, length - 4).await?;
        asked_of(kind, body).ok_or(Broken::Protocol("invalid message format"))
    }

    /// The length word behind `skip` bytes.
    async fn length(&mut self, skip: usize, max: usize, min: usize) -> Result<usize, Broken> {
        self.fill(skip + 4).await?;
        let word = self.inbox.get(skip..skip + 4).map(|mut word| word.get_i32());
        match word.map(usize::try_from) {
            Some(Ok(length)) if (min..=max).contains(&length) => Ok(length),
            _ => Err(Broken::Protocol("invalid message length")),
        }
    }

    async fn body(&mut self, head: usize, length: usize) -> Result<Bytes, Broken> {
        self.fill(head + length).await?;
        self.inbox.advance(head);
        let body = self.inbox.split_to(length).freeze();
        if self.inbox.is_empty() {
            // What one long message took is not kept for all that come after it.
            self.inbox = BytesMut::new();
        }
        Ok(body)
    }

    /// Reads until so many bytes are there; the buffer grows as they come.
    async fn fill(&mut self, count: usize) -> Result<(), Broken> {
        while self.inbox.len() < count {
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Err(Broken::Closed);
            }
        }
        Ok(())
    }

    /// Reads on while something else is waited for, so that a client that goes away is noticed. Comes back only with an
    /// error; may be dropped at any time.
    pub async fn watch(&mut self) -> Broken {
        while self.inbox.len() < AHEAD_BYTES_MAX {
            match self.stream.read_buf(&mut self.inbox).await {
                Ok(0) => return Broken::Closed,
                Ok(_) => {}
                Err(error) => return Broken::Io(error),
            }
        }
        std::future::pending().await
    }

    /// Puts a message behind what is to be sent.
    pub fn put(&mut self, message: &PgWireBackendMessage) {
        let before = self.out.len();
        if message.encode(&mut self.out).is_err() {
            // A message longer than the protocol allows: what is half there must not go out.
            self.out.truncate(before);
            tracing::warn!("a message of the PostgreSQL protocol is too long and was not sent");
        }
    }

    /// Puts messages that are encoded already.
    pub fn put_bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Sends what is gathered, once it is much.
    ///
    /// # Errors
    /// As [`Broken`].
    pub async fn relieve(&mut self) -> Result<(), Broken> {
        if OUT_BYTES <= self.out.len() { self.send().await } else { Ok(()) }
    }

    /// Sends all that is gathered.
    ///
    /// # Errors
    /// As [`Broken`].
    pub async fn send(&mut self) -> Result<(), Broken> {
        while !self.out.is_empty() {
            let part = self.out.len().min(OUT_BYTES);
            let sent = timeout(WRITE_WAIT, async {
                self.stream.write_all(&self.out[..part]).await?;
                self.stream.flush().await
            });
            sent.await.map_err(|_elapsed| Broken::TooSlow)??;
            self.out.advance(part);
        }
        self.out = BytesMut::new();
        Ok(())
    }

    /// Sends one byte, as the answer to a request for TLS is.
    ///
    /// # Errors
    /// As [`Broken`].
    pub async fn send_byte(&mut self, byte: u8) -> Result<(), Broken> {
        self.put_bytes(&[byte]);
        self.send().await
    }

    /// Sends the rest and closes.
    pub async fn close(mut self) {
        if self.send().await.is_ok() {
            // Whoever is gone does not hear it.
            drop(timeout(Duration::from_secs(1), self.stream.shutdown()).await);
        }
    }
}

/// The parts of a body; each step fails where the body ends.
struct Parts(Bytes);

impl Parts {
    fn text(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = String::from_utf8(self.0.split_to(end).to_vec()).ok()?;
        self.0.advance(1);
        Some(text)
    }

    fn byte(&mut self) -> Option<u8> {
        (!self.0.is_empty()).then(|| self.0.get_u8())
    }

    fn i16(&mut self) -> Option<i16> {
        (2 <= self.0.len()).then(|| self.0.get_i16())
    }

    fn count(&mut self) -> Option<usize> {
        (2 <= self.0.len()).then(|| usize::from(self.0.get_u16()))
    }

    fn i32(&mut self) -> Option<i32> {
        (4 <= self.0.len()).then(|| self.0.get_i32())
    }

    fn u32(&mut self) -> Option<u32> {
        (4 <= self.0.len()).then(|| self.0.get_u32())
    }

    fn bytes(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.0.len()).then(|| self.0.split_to(length))
    }

    fn many<T>(&mut self, one: impl Fn(&mut Parts) -> Option<T>) -> Option<Vec<T>> {
        // Nothing is reserved for a count that the body cannot hold.
        (0..self.count()?).map(|_| one(self)).collect()
    }

    fn end<T>(&self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

/// Reads the body of a first message.
fn first_of(body: Bytes) -> Option<First> {
    let mut parts = Parts(body);
    match parts.u32()? {
        TLS_CODE => parts.end(First::Tls),
        GSS_CODE => parts.end(First::Gss),
        CANCEL_CODE => {
            let pid = parts.i32()?;
            let is_key = (4..=256).contains(&parts.0.len());
            is_key.then(|| First::Cancel { pid, key: parts.0.clone() })
        }
        version => {
            let (major, minor) = ((version >> 16) as u16, (version & 0xffff) as u16);
            if major != 3 {
                return Some(First::OtherVersion(major));
            }
            let mut pairs = Vec::new();
            loop {
                let name = parts.text()?;
                if name.is_empty() {
                    return parts.end(First::Start { minor, pairs });
                }
                if STARTUP_PAIRS_MAX <= pairs.len() {
                    return None;
                }
                pairs.push((name, parts.text()?));
            }
        }
    }
}

/// Reads the body of a message of this kind.
fn asked_of(kind: u8, body: Bytes) -> Option<Asked> {
    let mut parts = Parts(body);
    let asked = match kind {
        b'p' => Asked::Password(parts.text()?),
        b'Q' => Asked::Query(parts.text()?),
        b'P' => Asked::Parse { name: parts.text()?, text: parts.text()?, types: parts.many(Parts::u32)? },
        b'B' => {
            let value = |parts: &mut Parts| match parts.i32()? {
                -1 => Some(None),
                length => Some(Some(parts.bytes(usize::try_from(length).ok()?)?)),
            };
            Asked::Bind(Bind {
                portal: parts.text()?,
                statement: parts.text()?,
                formats: parts.many(Parts::i16)?,
                values: parts.many(value)?,
                results: parts.many(Parts::i16)?,
            })
        }
        b'D' => Asked::Describe(is_statement(parts.byte()?)?, parts.text()?),
        b'C' => Asked::Close(is_statement(parts.byte()?)?, parts.text()?),
        b'E' => Asked::Execute(parts.text()?, parts.i32()?),
        b'H' => Asked::Flush,
        b'S' => Asked::Sync,
        b'X' => Asked::Terminate,
        b'd' | b'c' | b'f' => return Some(Asked::Copy),
        _ => return None,
    };
    parts.end(asked)
}

fn is_statement(byte: u8) -> Option<bool> {
    match byte {
        b'S' => Some(true),
        b'P' => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use pgwire::messages::PgWireFrontendMessage as Theirs;
    use pgwire::messages::extendedquery::{self, Close, Describe, Execute, Parse};
    use pgwire::messages::simplequery::Query;
    use pgwire::messages::startup::Startup;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn encoded(message: Theirs) -> BytesMut {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes).expect("encodes");
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Asked> {
        asked_of(bytes[0], Bytes::copy_from_slice(&bytes[5..]))
    }

    #[test]
    fn messages_are_read_as_pgwire_writes_them() {
        let value = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
        let bind = extendedquery::Bind::new(
            Some("p".to_owned()),
            None,
            vec![1, 0],
            vec![value("a"), None, value("")],
            vec![1],
        );
        let mine = Bind {
            portal: "p".to_owned(),
            statement: String::new(),
            formats: vec![1, 0],
            values: vec![value("a"), None, value("")],
            results: vec![1],
        };
        let text = |text: &str| text.to_owned();
        let rows = [
            (Theirs::Query(Query::new(text("select 1"))), Asked::Query(text("select 1"))),
            (
                Theirs::Parse(Parse::new(Some(text("s")), text("select $1"), vec![25, 0])),
                Asked::Parse { name: text("s"), text: text("select $1"), types: vec![25, 0] },
            ),
            (Theirs::Bind(bind), Asked::Bind(mine)),
            (Theirs::Describe(Describe::new(b'S', Some(text("s")))), Asked::Describe(true, text("s"))),
            (Theirs::Close(Close::new(b'P', None)), Asked::Close(false, String::new())),
            (Theirs::Execute(Execute::new(Some(text("p")), 7)), Asked::Execute(text("p"), 7)),
            (Theirs::Sync(extendedquery::Sync::new()), Asked::Sync),
            (Theirs::Flush(extendedquery::Flush::new()), Asked::Flush),
        ];
        for (theirs, mine) in rows {
            assert_eq!(read(&encoded(theirs)), Some(mine));
        }
        let pairs = [("user", "an"), ("database", "nhatle")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut startup = Startup::new();
        (startup.protocol_number_major, startup.protocol_number_minor) = (3, 2);
        startup.parameters = pairs.iter().cloned().collect();
        let start = encoded(Theirs::Startup(startup));
        let Some(First::Start { minor: 2, pairs: mut read }) = first_of(Bytes::copy_from_slice(&start[4..])) else {
            panic!("no start")
        };
        read.sort();
        assert_eq!(read, [pairs[1].clone(), pairs[0].clone()]);
    }

    #[test]
    fn no_body_is_read_past_its_end() {
        let seed = std::env::var("NHATLE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(5_432);
        println!("seed {seed}");
        let mut dice = StdRng::seed_from_u64(seed);
        let bind = encoded(Theirs::Bind(extendedquery::Bind::new(
            None,
            None,
            vec![1],
            vec![Some(Bytes::from_static(b"xy"))],
            vec![0, 1],
        )));
        for kind in *b"pQPBDCEHSXdcfZ\0" {
            for _ in 0..20_000 {
                let mut body: Vec<u8> = if dice.random_bool(0.5) {
                    bind[5..].to_vec()
                } else {
                    let length = dice.random_range(0..40);
                    (0..length).map(|_| if dice.random_bool(0.4) { 0 } else { dice.random() }).collect()
                };
                for _ in 0..dice.random_range(0..4) {
                    if let Some(byte) = (!body.is_empty()).then(|| dice.random_range(0..body.len())) {
                        body[byte] = dice.random();
                    }
                }
                body.truncate(dice.random_range(0..=body.len()));
                drop(asked_of(kind, Bytes::from(body.clone())));
                drop(first_of(Bytes::from(body)));
            }
        }
    }

    #[tokio::test]
    async fn a_message_that_has_begun_has_to_end_and_one_that_has_not_may_wait() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut wire = Wire::new(server);
        let wait = Duration::from_millis(50);
        let idle = timeout(3 * wait, wire.next_within(MESSAGE_BYTES_MAX, wait)).await;
        assert!(idle.is_err(), "nobody ends it");
        client.write_all(b"Q\0\0").await.expect("writes");
        let late = wire.next_within(MESSAGE_BYTES_MAX, wait).await;
        assert!(matches!(late, Err(Broken::Protocol("a message did not end in time"))), "{late:?}");
    }

    #[tokio::test]
    async fn a_length_word_alone_takes_no_memory() {
        for (word, is_refused) in [(1_u32 << 30, true), (u32::MAX, true), (3, true), (MESSAGE_BYTES_MAX as u32, false)]
        {
            let (mut client, server) = tokio::io::duplex(64);
            let mut wire = Wire::new(server);
            client.write_all(&[&[b'Q'][..], &word.to_be_bytes()].concat()).await.expect("writes");
            let read = timeout(Duration::from_millis(50), wire.next(MESSAGE_BYTES_MAX)).await;
            assert_eq!(matches!(read, Ok(Err(Broken::Protocol(_)))), is_refused, "{word}");
            assert!(wire.inbox.capacity() < 4096, "{word}: {}", wire.inbox.capacity());
        }
    }
}
