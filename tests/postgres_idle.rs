//! Clients of PostgreSQL that stand still: cursors that nobody reads on, connections that say nothing, more of them than may
//! be. In: the protocol, byte by byte. Out: others are served all the same, and whoever stands still is told why.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::postgres::{City, startup};
use crate::support::wait_for;

/// How many queries run at once.
const TURNS: usize = 4;
/// How many rows the cursors have: more than wait for a slow client.
const ROWS: usize = 150_000;

/// A connection that has signed in.
struct Client {
    out: TcpStream,
    input: BufReader<TcpStream>,
}

/// A message: its kind and its body.
type Message = (u8, Vec<u8>);

impl Client {
    /// Signs in; what it is told instead where it may not.
    fn sign_in(city: &City) -> Result<Client, Vec<Message>> {
        let stream = TcpStream::connect_timeout(&city.address(), Duration::from_secs(5)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut client = Client { out: stream.try_clone().unwrap(), input: BufReader::new(stream) };
        client.out.write_all(&startup("token")).unwrap();
        client.tell(b'p', &[city.admin.as_bytes(), b"\0"].concat());
        let told = client.until_ready();
        if told.last().is_some_and(|(kind, _)| *kind == b'Z') { Ok(client) } else { Err(told) }
    }

    fn tell(&mut self, kind: u8, body: &[u8]) {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        self.out.write_all(&[&[kind][..], &length, body].concat()).unwrap();
    }

    /// One message; `None` at the end.
    fn hear(&mut self) -> Option<Message> {
        let mut front = [0; 5];
        self.input.read_exact(&mut front).ok()?;
        let length = u32::from_be_bytes(front[1..].try_into().unwrap());
        let mut body = vec![0; usize::try_from(length).unwrap() - 4];
        self.input.read_exact(&mut body).ok()?;
        Some((front[0], body))
    }

    /// All messages until the server waits for more, or ends.
    fn until_ready(&mut self) -> Vec<Message> {
        let mut heard = Vec::new();
        while let Some(message) = self.hear() {
            let is_ready = message.0 == b'Z';
            heard.push(message);
            if is_ready {
                break;
            }
        }
        heard
    }

    /// Opens a cursor and reads one row of it.
    fn open_cursor(&mut self) {
        let ten = "VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10)";
        let text = format!("WITH v(n) AS ({ten}) SELECT a.n FROM v a, v b, v c, v d, v e, v f LIMIT {ROWS}");
        self.tell(b'P', format!("\0{text}\0\0\0").as_bytes());
        self.tell(b'B', b"\0\0\0\0\0\0\0\0");
        self.tell(b'E', b"\0\0\0\0\x01");
        // Flush, not sync: the portal stays open.
        self.tell(b'H', b"");
        let heard: Vec<u8> = std::iter::from_fn(|| self.hear()).map(|(kind, _)| kind).take(4).collect();
        assert_eq!(heard, b"12Ds", "{}", String::from_utf8_lossy(&heard));
    }

    /// Reads on to the end: how many rows came, and the code of an error.
    fn read_on(&mut self) -> (usize, Option<String>) {
        self.tell(b'E', b"\0\0\0\0\0");
        self.tell(b'H', b"");
        let mut count = 0;
        loop {
            match self.hear() {
                Some((b'D', _)) => count += 1,
                Some((b'C', _)) => return (count, None),
                Some((b'E', body)) => return (count, Some(code(&body))),
                other => panic!("{other:?} after {count} rows"),
            }
        }
    }

    fn ask(&mut self, text: &str) -> Vec<Message> {
        self.tell(b'Q', format!("{text}\0").as_bytes());
        self.until_ready()
    }
}

/// The SQLSTATE of an error.
fn code(body: &[u8]) -> String {
    let field = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&b'C'));
    String::from_utf8_lossy(&field.unwrap()[1..]).into_owned()
}

fn kinds(heard: &[Message]) -> String {
    heard.iter().map(|(kind, _)| char::from(*kind)).collect()
}

#[test]
fn cursors_that_stand_still_keep_nobody_waiting_and_one_of_them_is_told() {
    let city = City::configured("[postgres]\nlisten = \"127.0.0.1:0\"\n");
    let mut idle: Vec<Client> = (0..TURNS).map(|_| Client::sign_in(&city).unwrap()).collect();
    idle.iter_mut().for_each(Client::open_cursor);
    // All turns are taken by who reads nothing. Another asks, and is answered.
    let mut other = Client::sign_in(&city).unwrap();
    let begin = Instant::now();
    assert_eq!(kinds(&other.ask("SELECT 40 + 2")), "TDCZ");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    // One cursor was ended for that; it gives what was ready and then says why there is no more. The others go on.
    let read: Vec<(usize, Option<String>)> = idle.iter_mut().map(Client::read_on).collect();
    let (ended, going): (Vec<_>, Vec<_>) = read.iter().partition(|(_, code)| code.is_some());
    assert!(going.iter().all(|(rows, _)| rows + 1 == ROWS), "{read:?}");
    assert!((1..TURNS).contains(&ended.len()), "{read:?}");
    assert!(ended.iter().all(|(rows, code)| rows + 1 < ROWS && code.as_deref() == Some("53400")), "{read:?}");
    city.server.stop();
}

#[test]
fn connections_that_say_nothing_are_ended_and_no_more_than_so_many_come_in() {
    let city = City::configured("[postgres]\nlisten = \"127.0.0.1:0\"\nconnection_count_max = 2\nidle_max_s = 10\n");
    let begin = Instant::now();
    let mut first = Client::sign_in(&city).unwrap();
    let mut second = Client::sign_in(&city).unwrap();
    let refused = Client::sign_in(&city).err().unwrap();
    let (kind, body) = refused.last().unwrap();
    assert_eq!((*kind, code(body).as_str()), (b'E', "53300"));
    // A cursor that stands still is no word either.
    second.open_cursor();
    for client in [&mut first, &mut second] {
        let (kind, body) = client.hear().unwrap();
        assert_eq!((kind, code(&body).as_str()), (b'E', "57P05"));
        assert_eq!(client.hear(), None, "the connection is closed");
    }
    assert!(Duration::from_secs(10) <= begin.elapsed(), "{:?}", begin.elapsed());
    // Their places and their turns are free.
    wait_for("there is room again", Duration::from_secs(20), || Client::sign_in(&city).is_ok());
    let mut next = Client::sign_in(&city).unwrap();
    assert_eq!(kinds(&next.ask("SELECT 40 + 2")), "TDCZ");
    city.server.stop();
}
