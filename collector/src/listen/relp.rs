//! RELP: syslog over TCP where each message is answered, and answered only after it is durable.
//!
//! In: a connection. Out: batches, one for each read, each with somebody waiting for its receipt. Answers go
//! back in the order of the messages. Overload: reading stops while its sender has no room; at most
//! [`super::stream::Limits::window`] messages are unanswered, then reading stops as well. When the store refuses, the session
//! is closed without an answer: the sender keeps what was not answered and sends it again. Bounds: connections,
//! idle time, time for a frame, bytes of a message, messages unanswered; a frame that has to give way ([`super::frame_room`])
//! closes the session, and its sender sends it again. What a sender sends again because it heard no answer is known
//! ([`super::resend`]) and answered without being stored twice. Failure: a frame that is none closes the session with the
//! reason in the log. Source: "RELP - The Reliable Event Logging Protocol", version 0 (librelp).

use std::collections::VecDeque;
use std::time::Duration;

use nhatle_event::Record;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::frame_room::{FrameHold, READ_BYTES, UNCOUNTED_BYTES};
use super::packed::weight;
use super::resend::{Delivery, Ending, Kind, Lane, State};
use super::stream::{Bytes, Connection};
use super::{Batch, Counts, Receipt, Refusal, sizes};
use crate::frame::trim_frame;

/// The longest command of the protocol is `serverclose`.
const COMMAND_BYTES_MAX: usize = 32;
/// A transaction number and a length have nine digits at most.
const DIGITS_MAX: usize = 9;

/// Serves a session until it ends.
pub(super) async fn serve(connection: Connection, stream: impl Bytes) {
    let parser = Parser::new(connection.limits.record_bytes_max);
    let (peer, now) = (connection.origin.peer, connection.clock.now());
    let lane = Lane::of_peer(&connection.origin.input, peer);
    let delivery = Delivery::new(connection.sink.breaks(), Kind::Session, lane, peer, now);
    let ending = Ending::new(delivery, connection.clock.clone());
    let hold = connection.sink.frames().hold(connection.sender);
    Session { parser, hold, connection, ending, waiting: VecDeque::new(), unanswered: 0 }.run(stream).await;
}

/// A frame: transaction, command, data.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    transaction: u32,
    command: Vec<u8>,
    data: Vec<u8>,
}

/// Why a session cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Broken {
    #[error("a number is expected and none stands there")]
    Number,
    #[error("a command is expected and none stands there")]
    Command,
    #[error("a frame does not end where its length says")]
    Trailer,
    #[error("a message is longer than allowed")]
    Length,
    #[error("the command is not one that was offered")]
    Unknown,
}

/// Cuts the stream into frames: `TXNR SP COMMAND SP DATALEN [SP DATA] LF`.
struct Parser {
    held: Vec<u8>,
    /// So much of `held` is done with.
    done: usize,
    message_bytes_max: usize,
}

impl Parser {
    fn new(message_bytes_max: usize) -> Parser {
        Parser { held: Vec::new(), done: 0, message_bytes_max }
    }

    /// Whether a frame has begun and not ended.
    fn is_within(&self) -> bool {
        self.done < self.held.len()
    }

    /// Takes the next bytes of the stream.
    fn push(&mut self, bytes: &[u8]) {
        self.clean();
        let needed = self.held.len() + bytes.len();
        if self.held.capacity() < needed {
            // Twice as much as before, and never much past the longest message.
            let capacity = (2 * self.held.len()).min(self.message_bytes_max + READ_BYTES).max(needed);
            self.held.reserve_exact(capacity - self.held.len());
        }
        self.held.extend_from_slice(bytes);
    }

    /// Drops what is done with, and the memory that a long message took.
    fn clean(&mut self) {
        self.held.drain(..self.done);
        self.done = 0;
        if UNCOUNTED_BYTES < self.held.capacity() && self.held.len() < self.held.capacity() / 4 {
            self.held.shrink_to_fit();
        }
    }

    /// The next whole frame of what is held.
    fn next(&mut self) -> Result<Option<Frame>, Broken> {
        let Some((frame, length)) = self.look()? else { return Ok(None) };
        self.done += length;
        Ok(Some(frame))
    }

    fn look(&self) -> Result<Option<(Frame, usize)>, Broken> {
        let held = self.held.get(self.done..).unwrap_or_default();
        let Some((transaction, rest)) = number(held)? else { return Ok(None) };
        let Some(rest) = rest.strip_prefix(b" ") else { return after(rest, Broken::Command) };
        let end = rest.iter().take(COMMAND_BYTES_MAX + 1).position(|byte| !byte.is_ascii_alphanumeric());
        let Some(end) = end else {
            return if COMMAND_BYTES_MAX < rest.len() { Err(Broken::Command) } else { Ok(None) };
        };
        let (command, rest) = rest.split_at(end);
        if command.is_empty() {
            return Err(Broken::Command);
        }
        let Some(rest) = rest.strip_prefix(b" ") else { return Err(Broken::Number) };
        let Some((length, rest)) = number(rest)? else { return Ok(None) };
        let length = usize::try_from(length).map_err(|_huge| Broken::Length)?;
        if self.message_bytes_max < length {
            return Err(Broken::Length);
        }
        // Without data the space before it may be missing.
        let (data, rest) = if length == 0 {
            (&b""[..], rest.strip_prefix(b" ").unwrap_or(rest))
        } else {
            let Some(rest) = rest.strip_prefix(b" ") else { return after(rest, Broken::Trailer) };
            let Some(split) = rest.split_at_checked(length) else { return Ok(None) };
            split
        };
        let Some(rest) = rest.strip_prefix(b"\n") else { return after(rest, Broken::Trailer) };
        let frame = Frame { transaction, command: command.to_vec(), data: data.to_vec() };
        Ok(Some((frame, held.len() - rest.len())))
    }
}

/// Nothing more may be there yet, or something else is.
fn after<T>(rest: &[u8], broken: Broken) -> Result<Option<T>, Broken> {
    if rest.is_empty() { Ok(None) } else { Err(broken) }
}

/// A number and what follows it; `None` while it may go on.
fn number(bytes: &[u8]) -> Result<Option<(u32, &[u8])>, Broken> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if DIGITS_MAX < digits || (digits == 0 && !bytes.is_empty()) {
        return Err(Broken::Number);
    }
    if digits == bytes.len() {
        return Ok(None);
    }
    let (digits, rest) = bytes.split_at(digits);
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(Broken::Number)?;
    Ok(Some((number, rest)))
}

type Waited = oneshot::Receiver<Result<Receipt, Refusal>>;

struct Session {
    parser: Parser,
    /// What the frames that are not handed on yet hold.
    hold: FrameHold,
    connection: Connection,
    /// Broken, unless said otherwise.
    ending: Ending,
    /// Batches on their way, the oldest in front: their transactions, and who tells that they are durable.
    waiting: VecDeque<(Vec<u32>, Waited)>,
    unanswered: usize,
}

/// What a read brought.
enum Step {
    Goes,
    Closes,
}

impl Session {
    async fn run(mut self, stream: impl Bytes) {
        let told = self.hold.told();
        let (mut read_half, mut write_half) = tokio::io::split(stream);
        let (limits, sender) = (self.connection.limits, self.connection.sender);
        let sink = self.connection.sink.clone();
        // When the frame that has begun has to be whole.
        let mut frame_due: Option<Instant> = None;
        loop {
            let may_read = self.unanswered < limits.window;
            let idle = self.waiting.is_empty();
            // Nothing is read while the sender has no room; answers go on meanwhile.
            let (parser, hold) = (&mut self.parser, &mut self.hold);
            let read = async {
                sink.ready(sender).await.ok()?;
                let take = |hold: &mut FrameHold, bytes: &[u8]| {
                    parser.push(bytes);
                    hold.set(parser.held.capacity(), 0);
                };
                Some(hold.read(&mut read_half, Duration::MAX, take).await)
            };
            tokio::select! {
                told = front(&mut self.waiting) => {
                    let Some((transactions, _)) = self.waiting.pop_front() else { continue };
                    self.unanswered -= transactions.len();
                    if let Err(refusal) = told {
                        tracing::debug!(input = %self.connection.origin.input, %refusal, "session closed, its messages come again");
                        drop(write_half.write_all(b"0 serverclose 0\n").await);
                        return;
                    }
                    let answers: String =
                        transactions.iter().map(|transaction| format!("{transaction} rsp 6 200 OK\n")).collect();
                    if write_half.write_all(answers.as_bytes()).await.is_err() {
                        return;
                    }
                }
                read = read, if may_read => {
                    match read {
                        Some(1..) => {}
                        Some(0) if self.waiting.is_empty() => return self.ending.set(State::Quiet),
                        Some(0) | None => return,
                    }
                    match self.take(&mut write_half).await {
                        Ok(Step::Goes) if self.parser.is_within() => {
                            frame_due = frame_due.filter(|_| self.parser.done == 0).or(Some(Instant::now() + limits.frame));
                        }
                        Ok(Step::Goes) => frame_due = None,
                        Ok(Step::Closes) => return,
                        Err(broken) => {
                            tracing::warn!(input = %self.connection.origin.input, peer = ?self.connection.origin.peer, %broken, "session closed");
                            return;
                        }
                    }
                    self.parser.clean();
                    self.hold.set(self.parser.held.capacity(), 0);
                }
                () = told.gives_way() => {
                    // The sender keeps what was not answered.
                    tracing::warn!(input = %self.connection.origin.input, peer = ?self.connection.origin.peer, "session closed: unfinished frames held too much memory");
                    return;
                }
                () = until(frame_due), if may_read => {
                    if sink.admit(sender).is_err() || !self.hold.has_room() {
                        // It is we who do not read.
                        frame_due = Some(Instant::now() + limits.frame);
                        continue;
                    }
                    tracing::warn!(input = %self.connection.origin.input, peer = ?self.connection.origin.peer, "session closed: a frame did not end in time");
                    return;
                }
                () = tokio::time::sleep(limits.idle), if idle => return,
            }
        }
    }

    /// Takes every whole frame that is held.
    async fn take(&mut self, write: &mut (impl AsyncWrite + Unpin)) -> Result<Step, Broken> {
        let (mut records, mut transactions) = (Vec::new(), Vec::new());
        let mut step = Step::Goes;
        let mut result = Ok(());
        loop {
            let frame = match self.parser.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(broken) => {
                    result = Err(broken);
                    break;
                }
            };
            match frame.command.as_slice() {
                b"open" => {
                    let offer = "200 OK\nrelp_version=0\nrelp_software=nhatle\ncommands=syslog";
                    let answer = format!("{} rsp {} {offer}\n", frame.transaction, offer.len());
                    if write.write_all(answer.as_bytes()).await.is_err() {
                        return Ok(Step::Closes);
                    }
                }
                b"syslog" => {
                    transactions.push(frame.transaction);
                    records.extend(self.record(&frame.data));
                }
                b"close" => {
                    let is_taken = self.hand_on(records, transactions).await;
                    let is_answered = self.answer_all(write).await;
                    let farewell = format!("{} rsp 0\n0 serverclose 0\n", frame.transaction);
                    if write.write_all(farewell.as_bytes()).await.is_ok() && is_taken && is_answered {
                        self.ending.set(State::Proven);
                    }
                    return Ok(Step::Closes);
                }
                _ => {
                    result = Err(Broken::Unknown);
                    break;
                }
            }
        }
        // Also before a broken frame: those messages were whole.
        if !self.hand_on(records, transactions).await {
            step = Step::Closes;
        }
        result.map(|()| step)
    }

    fn record(&self, data: &[u8]) -> Option<Record> {
        let data = trim_frame(data);
        (!data.is_empty()).then(|| self.connection.origin.record(data, self.connection.clock.now(), false))
    }

    /// Hands a batch on. `false` when there is nobody left to take it.
    async fn hand_on(&mut self, records: Vec<Record>, transactions: Vec<u32>) -> bool {
        if transactions.is_empty() {
            return true;
        }
        self.unanswered += transactions.len();
        let (done, receipt) = oneshot::channel();
        if records.is_empty() {
            // Empty messages are durable as they are.
            drop(done.send(Ok(Receipt::default())));
            self.waiting.push_back((transactions, receipt));
            return true;
        }
        self.hold.set(0, self.parser.held.capacity() + weight(&records));
        let (sizes, connection) = (sizes(&records), &self.connection);
        let delivery = Some(self.ending.delivery().clone());
        let batch = Batch { done: Some(done), delivery, ..Batch::of(records) };
        if connection.sink.send_as(connection.sender, batch).await.is_err() {
            Counts::add(&connection.counts.dropped, sizes.0);
            return false;
        }
        connection.counts.add_received(sizes);
        self.waiting.push_back((transactions, receipt));
        true
    }

    /// Answers everything that is on its way, before the session ends. Whether all of it was.
    async fn answer_all(&mut self, write: &mut (impl AsyncWrite + Unpin)) -> bool {
        while !self.waiting.is_empty() {
            let told = front(&mut self.waiting).await;
            let Some((transactions, _)) = self.waiting.pop_front() else { return false };
            self.unanswered -= transactions.len();
            if told.is_err() {
                return false;
            }
            for transaction in transactions {
                if write.write_all(format!("{transaction} rsp 6 200 OK\n").as_bytes()).await.is_err() {
                    return false;
                }
            }
        }
        true
    }
}

/// Waits until then; for ever where there is no such time.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Waits for the oldest batch; for ever where there is none.
async fn front(waiting: &mut VecDeque<(Vec<u32>, Waited)>) -> Result<Receipt, Refusal> {
    match waiting.front_mut() {
        Some((_, receipt)) => {
            receipt.await.unwrap_or_else(|_gone| Err(Refusal::Store { reason: "shutting down".to_owned() }))
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frames of a stream given in pieces of this size, as `transaction command data`.
    fn frames(stream: &[u8], piece: usize) -> Result<Vec<String>, Broken> {
        let mut parser = Parser::new(20);
        let mut found = Vec::new();
        for bytes in stream.chunks(piece) {
            parser.push(bytes);
            while let Some(frame) = parser.next()? {
                let (command, data) = (String::from_utf8_lossy(&frame.command), String::from_utf8_lossy(&frame.data));
                found.push(format!("{} {command} {data}", frame.transaction));
            }
        }
        Ok(found)
    }

    #[track_caller]
    fn check(stream: &[u8], expected: Result<&[&str], Broken>) {
        for piece in [1, 2, 3, 7, stream.len().max(1)] {
            let expected = expected.map(|list| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
            assert_eq!(frames(stream, piece), expected, "{} in pieces of {piece}", String::from_utf8_lossy(stream));
        }
    }

    #[test]
    fn frames_in_any_pieces() {
        check(b"1 open 3 a\nb\n2 syslog 5 <13>x\n3 close 0\n", Ok(&["1 open a\nb", "2 syslog <13>x", "3 close "]));
        check(b"3 close 0 \n4 syslog 1 \n\n", Ok(&["3 close ", "4 syslog \n"]));
        check(b"1 syslog 5 <13", Ok(&[]));
        check(b"x", Err(Broken::Number));
        check(b"1234567890 open 0\n", Err(Broken::Number));
        check(b"1 syslog 21 ", Err(Broken::Length));
        check(b"1 syslog 2 abc\n", Err(Broken::Trailer));
        check(b"1  1 a\n", Err(Broken::Command));
        check(b"1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Err(Broken::Command));
    }
}
