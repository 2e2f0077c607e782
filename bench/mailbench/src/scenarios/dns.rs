//! A name server on loopback for servers that insist on one: A of `--sink-ip` for names that begin
//! with "sink" (the default 0.0.0.0 reaches this host), NXDOMAIN for all others. Runs until killed.

use std::io::{Error, Result};
use std::net::Ipv4Addr;

use tokio::net::UdpSocket;

use crate::load::Load;
use crate::record::Record;

/// RFC 1035 section 4.1.1.
const HEADER_BYTES: usize = 12;
const QUERY_BYTES_MAX: usize = 1500;
const TYPE_A: u8 = 1;
/// Answer section: pointer to the question's name, type A, class IN, TTL 1, four bytes follow.
const ANSWER_HEAD: [u8; 12] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4];

pub(super) async fn run(load: Load) -> Result<Record> {
    let sink = load.options.text("sink-ip", "0.0.0.0");
    let sink: Ipv4Addr = sink.parse().map_err(Error::other)?;
    let socket = UdpSocket::bind(load.options.text("listen", "127.0.0.1:53")).await?;
    let mut query = [0; QUERY_BYTES_MAX];
    loop {
        let (length, from) = socket.recv_from(&mut query).await?;
        if let Some(answer) = answer(&query[..length], sink) {
            // A client that is gone asks no more.
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// The answer to a query with one question; none if it is cut off.
fn answer(query: &[u8], sink: Ipv4Addr) -> Option<Vec<u8>> {
    let mut end_of_name = HEADER_BYTES;
    loop {
        match *query.get(end_of_name)? {
            0 => break,
            label => end_of_name += usize::from(label) + 1,
        }
    }
    // Root label, type, class.
    let mut answer = query.get(..end_of_name + 5)?.to_vec();
    let is_sink = query[HEADER_BYTES + 1..].starts_with(b"sink");
    // Flags: response, recursion desired and available, NXDOMAIN or no error.
    answer[2] = 0x81;
    answer[3] = if is_sink { 0x80 } else { 0x83 };
    answer[6..HEADER_BYTES].fill(0);
    if is_sink && query[end_of_name + 2] == TYPE_A {
        answer[7] = 1;
        answer.extend_from_slice(&ANSWER_HEAD);
        answer.extend_from_slice(&sink.octets());
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &[u8]) -> Vec<u8> {
        let mut query = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.push(name.len() as u8);
        query.extend_from_slice(name);
        query.extend_from_slice(&[0, 0, TYPE_A, 0, 1]);
        query
    }

    #[test]
    fn only_sinks_have_an_address() {
        let sink = Ipv4Addr::new(127, 0, 0, 9);
        let found = answer(&query(b"sink0"), sink).unwrap();
        assert!(found.ends_with(&[127, 0, 0, 9]) && found[3] == 0x80 && found[7] == 1);
        let none = answer(&query(b"other"), sink).unwrap();
        assert!(none.len() == query(b"other").len() && none[3] == 0x83);
        assert!(answer(&query(b"sink0")[..15], sink).is_none());
    }
}
