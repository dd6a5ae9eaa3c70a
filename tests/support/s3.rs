//! A small store that speaks S3, on loopback, for tests: objects, multipart, listing in pages, conditional puts, bulk delete.
//! It refuses what a real one refuses (wrong credentials, a body that is not the signed one), and fails on purpose.
//! Source: Amazon S3 API reference.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use nhatle_event::json::hex;
use nhatle_event::{Clock, SystemClock, Timestamp};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sha2::{Digest, Sha256};

/// Who may ask.
pub const KEY_ID: &str = "nhatle-test";
/// The one bucket.
pub const BUCKET: &str = "city";
/// So few that every listing has several pages.
const PAGE: usize = 5;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// Of eight requests one each is told to slow down, fails, has its connection cut before an answer, and in the middle of it.
    Flaky,
    /// After so many more requests no connection gets an answer.
    DeadAfter(usize),
    /// After so many more requests they wait for ever.
    HangAfter(usize),
}

#[derive(Clone, Debug)]
struct Object {
    bytes: Vec<u8>,
    put_s: i64,
}

struct State {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    count: usize,
    trouble: Trouble,
    hung: usize,
    parts: usize,
}

/// See the module.
pub struct S3 {
    state: Arc<Mutex<State>>,
    pub endpoint: String,
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn reply(status: u16, body: &str) -> Reply {
    Reply { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
}

fn error(status: u16, code: &str) -> Reply {
    reply(status, &format!("<Error><Code>{code}</Code></Error>"))
}

impl S3 {
    /// Starts one, over TLS where that is given.
    pub fn start(tls: Option<Arc<ServerConfig>>) -> S3 {
        let state = State {
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            count: 0,
            trouble: Trouble::None,
            hung: 0,
            parts: 0,
        };
        let state = Arc::new(Mutex::new(state));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let endpoint = format!("{scheme}://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), state, tls) = (stream, shared.clone(), tls.clone()) else { continue };
                // A connection that breaks is the other side's business.
                std::thread::spawn(move || match tls {
                    None => serve(BufReader::new(stream), &state),
                    Some(tls) => {
                        let connection = ServerConnection::new(tls).unwrap();
                        serve(BufReader::new(StreamOwned::new(connection, stream)), &state)
                    }
                });
            }
        });
        S3 { state, endpoint }
    }

    /// From now on this goes wrong.
    pub fn trouble(&self, trouble: Trouble) {
        let mut state = self.state.lock().unwrap();
        (state.trouble, state.count) = (trouble, 0);
    }

    /// How many requests came since [`S3::trouble`] was called, how many of them hang, and how many parts ever came.
    pub fn counts(&self) -> (usize, usize, usize) {
        let state = self.state.lock().unwrap();
        (state.count, state.hung, state.parts)
    }

    /// The names of all objects.
    pub fn names(&self) -> Vec<String> {
        self.state.lock().unwrap().objects.keys().cloned().collect()
    }

    /// Alters an object; `None` takes it away.
    pub fn alter(&self, name: &str, alter: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) -> Vec<u8> {
        let mut state = self.state.lock().unwrap();
        let before = state.objects.remove(name).unwrap();
        if let Some(bytes) = alter(before.bytes.clone()) {
            state.objects.insert(name.to_owned(), Object { bytes, put_s: before.put_s });
        }
        before.bytes
    }

    /// Puts an object back as it was.
    pub fn put_back(&self, name: &str, bytes: Vec<u8>) {
        self.state.lock().unwrap().objects.insert(name.to_owned(), Object { bytes, put_s: now_s() });
    }

    /// Makes everything there so much older.
    pub fn age(&self, days: i64) {
        self.state.lock().unwrap().objects.values_mut().for_each(|object| object.put_s -= days * 86_400);
    }
}

fn now_s() -> i64 {
    SystemClock.now().0 / 1_000_000_000
}

fn serve<S: Read + Write>(mut stream: BufReader<S>, state: &Mutex<State>) {
    while let Some(request) = read(&mut stream) {
        let mut state = state.lock().unwrap();
        state.count += 1;
        let count = state.count;
        match state.trouble {
            Trouble::DeadAfter(after) if after < count => return,
            Trouble::HangAfter(after) if after < count => {
                state.hung += 1;
                drop(state);
                loop {
                    std::thread::park();
                }
            }
            Trouble::Flaky if count % 8 == 1 => {
                drop(state);
                write(&mut stream, &request, &error(503, "SlowDown"), usize::MAX);
                continue;
            }
            Trouble::Flaky if count % 8 == 3 => {
                drop(state);
                write(&mut stream, &request, &error(500, "InternalError"), usize::MAX);
                continue;
            }
            Trouble::Flaky if count % 8 == 5 => return,
            _ => {}
        }
        let is_cut = state.trouble == Trouble::Flaky && count % 8 == 7;
        let answer = state.answer(&request);
        drop(state);
        if is_cut {
            // Done, and the answer is lost on its way.
            let length = answer.body.len() / 2;
            return write(&mut stream, &request, &answer, length);
        }
        write(&mut stream, &request, &answer, usize::MAX);
    }
}

fn read(stream: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|count| 0 < *count)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|count| 0 < *count)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    let query = query.split('&').filter(|part| !part.is_empty()).map(pair).collect();
    Some(Request { method, path: decoded(path), query, headers, body })
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let pair = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&pair).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn write<S: Read + Write>(stream: &mut BufReader<S>, request: &Request, reply: &Reply, body_max: usize) {
    let mut head = format!("HTTP/1.1 {} -\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
    reply.headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    if request.method != "HEAD" {
        bytes.extend_from_slice(&reply.body[..reply.body.len().min(body_max)]);
    }
    drop(stream.get_mut().write_all(&bytes).and_then(|()| stream.get_mut().flush()));
}

impl State {
    fn answer(&mut self, request: &Request) -> Reply {
        let authorization = request.headers.get("authorization").cloned().unwrap_or_default();
        if !authorization.starts_with(&format!("AWS4-HMAC-SHA256 Credential={KEY_ID}/")) {
            return error(403, "InvalidAccessKeyId");
        }
        if request.headers.get("x-amz-content-sha256") != Some(&hex(&Sha256::digest(&request.body))) {
            return error(400, "XAmzContentSHA256Mismatch");
        }
        let path = request.path.trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        if bucket != BUCKET {
            return error(404, "NoSuchBucket");
        }
        let (key, is) = (key.to_owned(), |name: &str| request.query.contains_key(name));
        match request.method.as_str() {
            "GET" if key.is_empty() => self.list(request),
            "GET" | "HEAD" => self.get(request, &key),
            "PUT" if is("uploadId") => self.part(request),
            "PUT" => self.put(request, key),
            "POST" if is("uploads") => {
                let id = format!("upload-{}", self.count);
                self.uploads.insert(id.clone(), BTreeMap::new());
                let body =
                    format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
                reply(200, &body)
            }
            "POST" if is("uploadId") => self.complete(request, key),
            "POST" if is("delete") => self.delete(request),
            "DELETE" => {
                self.uploads.remove(&request.query["uploadId"]);
                reply(204, "")
            }
            _ => error(405, "MethodNotAllowed"),
        }
    }

    fn list(&self, request: &Request) -> Reply {
        let text = |name: &str| request.query.get(name).cloned().unwrap_or_default();
        let (prefix, after) = (text("prefix"), text("continuation-token").max(text("start-after")));
        let mut found = self.objects.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > after).peekable();
        let (mut body, mut last, mut count) = ("<ListBucketResult>".to_owned(), String::new(), 0);
        while let Some((key, object)) = found.next_if(|_| count < PAGE) {
            let put = Timestamp(object.put_s * 1_000_000_000);
            body.push_str(&format!(
                "<Contents><Key>{key}</Key><LastModified>{put}</LastModified><ETag>\"{}\"</ETag><Size>{}</Size></Contents>",
                tag(&object.bytes),
                object.bytes.len()
            ));
            (count, last) = (count + 1, key.clone());
        }
        if found.peek().is_some() {
            body.push_str(&format!("<NextContinuationToken>{last}</NextContinuationToken>"));
        }
        reply(200, &(body + "</ListBucketResult>"))
    }

    fn get(&self, request: &Request, key: &str) -> Reply {
        let Some(object) = self.objects.get(key) else { return error(404, "NoSuchKey") };
        let put = Timestamp(object.put_s * 1_000_000_000).to_string();
        let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
            [put[5..7].parse::<usize>().unwrap() - 1];
        let modified = format!("{} {month} {} {} GMT", &put[8..10], &put[..4], &put[11..19]);
        let mut headers = vec![("Last-Modified", modified), ("ETag", format!("\"{}\"", tag(&object.bytes)))];
        let Some(range) = request.headers.get("range") else {
            return Reply { status: 200, headers, body: object.bytes.clone() };
        };
        let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let (start, length) = (start.parse::<usize>().unwrap(), object.bytes.len());
        let end = end.parse::<usize>().unwrap().min(length.wrapping_sub(1));
        if length <= start {
            return error(416, "InvalidRange");
        }
        headers.push(("Content-Range", format!("bytes {start}-{end}/{length}")));
        Reply { status: 206, headers, body: object.bytes[start..=end].to_vec() }
    }

    fn put(&mut self, request: &Request, key: String) -> Reply {
        if request.headers.get("if-none-match").is_some_and(|tag| tag == "*") && self.objects.contains_key(&key) {
            return error(412, "PreconditionFailed");
        }
        let headers = vec![("ETag", format!("\"{}\"", tag(&request.body)))];
        self.objects.insert(key, Object { bytes: request.body.clone(), put_s: now_s() });
        Reply { status: 200, headers, body: Vec::new() }
    }

    fn part(&mut self, request: &Request) -> Reply {
        let Some(upload) = self.uploads.get_mut(&request.query["uploadId"]) else { return error(404, "NoSuchUpload") };
        self.parts += 1;
        upload.insert(request.query["partNumber"].parse().unwrap(), request.body.clone());
        Reply { status: 200, headers: vec![("ETag", format!("\"{}\"", tag(&request.body)))], body: Vec::new() }
    }

    fn complete(&mut self, request: &Request, key: String) -> Reply {
        let id = &request.query["uploadId"];
        let done = "<CompleteMultipartUploadResult><ETag>\"x\"</ETag></CompleteMultipartUploadResult>";
        match self.uploads.get(id) {
            // Asked again, because the answer was lost.
            None if self.objects.contains_key(&key) => return reply(200, done),
            None => return error(404, "NoSuchUpload"),
            Some(parts) if parts.values().rev().skip(1).any(|part| part.len() < 5 << 20) => {
                return error(400, "EntityTooSmall");
            }
            Some(_) => {}
        }
        let bytes = self.uploads.remove(id).unwrap().into_values().flatten().collect();
        self.objects.insert(key, Object { bytes, put_s: now_s() });
        reply(200, done)
    }

    fn delete(&mut self, request: &Request) -> Reply {
        let text = String::from_utf8(request.body.clone()).unwrap();
        let mut body = "<DeleteResult>".to_owned();
        for key in text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()) {
            self.objects.remove(key);
            body.push_str(&format!("<Deleted><Key>{key}</Key></Deleted>"));
        }
        reply(200, &(body + "</DeleteResult>"))
    }
}

fn tag(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))[..32].to_owned()
}
