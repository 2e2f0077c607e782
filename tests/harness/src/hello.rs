//! ClientHellos of any age, made byte by byte: what no current TLS library would still offer. Tells what a server's
//! first record says to one. Tests only.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long a server may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// What a server answers first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It would go on, with this version, suite and compression method.
    Agreed {
        /// 0x0300 for SSL 3.0, 0x0301 for TLS 1.0 and so on.
        version: u16,
        /// The suite's number.
        suite: u16,
        /// 0 for none.
        compression: u8,
    },
    /// It refuses, with this alert.
    Alert(u8),
    /// It closed the connection, or said something that is not TLS.
    Nothing,
}

/// Offers `suites` and compression in a ClientHello of `version` (at most TLS 1.2) and reads the answer.
///
/// # Panics
/// Where there is nobody to connect to.
pub fn offer(host: &str, port: u16, version: u16, suites: &[u16]) -> Answer {
    let mut stream = TcpStream::connect((host, port)).expect("a listener");
    stream
        .set_read_timeout(Some(ANSWER_TIME_MAX))
        .expect("a timeout");
    stream.write_all(&hello(version, suites)).expect("sent");
    let mut head = [0; 5];
    if stream.read_exact(&mut head).is_err() {
        return Answer::Nothing;
    }
    let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    if stream.read_exact(&mut record).is_err() {
        return Answer::Nothing;
    }
    match (head[0], record.as_slice()) {
        (21, [_, alert, ..]) => Answer::Alert(*alert),
        // ServerHello (RFC 5246 §7.4.1.3): type, length, version, random, session id, suite, compression.
        (22, [2, _, _, _, major, minor, rest @ ..]) => {
            let session = 33 + usize::from(rest[32]);
            Answer::Agreed {
                version: u16::from_be_bytes([*major, *minor]),
                suite: u16::from_be_bytes([rest[session], rest[session + 1]]),
                compression: rest[session + 2],
            }
        }
        _ => Answer::Nothing,
    }
}

/// An SSL 2.0 hello that offers nothing newer; gives what came back.
pub fn offer_ssl2(host: &str, port: u16) -> Vec<u8> {
    let mut stream = TcpStream::connect((host, port)).expect("a listener");
    stream
        .set_read_timeout(Some(ANSWER_TIME_MAX))
        .expect("a timeout");
    let mut body = vec![1, 0, 2, 0, 3, 0, 0, 0, 16, 1, 0, 0x80];
    body.extend([7; 16]);
    let mut hello = vec![0x80, body.len() as u8];
    hello.extend(body);
    stream.write_all(&hello).expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn hello(version: u16, suites: &[u16]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    let suites: Vec<u8> = suites
        .iter()
        .flat_map(|suite| suite.to_be_bytes())
        .collect();
    body.extend(list(&suites));
    // DEFLATE, then none.
    body.extend([2, 1, 0]);
    if version > 0x0300 {
        let mut extensions = Vec::new();
        let mut extension = |kind: u16, content: &[u8]| {
            extensions.extend(kind.to_be_bytes());
            extensions.extend(list(content));
        };
        extension(10, &list(&[0, 23, 0, 24, 0, 29]));
        extension(11, &[1, 0]);
        if version == 0x0303 {
            extension(13, &list(&[4, 1, 5, 1, 6, 1, 2, 1, 8, 4, 4, 3]));
        }
        body.extend(list(&extensions));
    }
    let mut message = vec![1, 0];
    message.extend(list(&body));
    let mut record = vec![22, 3, if version > 0x0300 { 1 } else { 0 }];
    record.extend(list(&message));
    record
}

fn list(bytes: &[u8]) -> Vec<u8> {
    let mut all = (bytes.len() as u16).to_be_bytes().to_vec();
    all.extend_from_slice(bytes);
    all
}
