//! The sockets of the test DNS: one port, UDP and TCP, a thread each. Blocking and simple; what is
//! answered is decided in `answer.rs`.

use super::Fault;
use super::answer::World;
use hickory_proto::op::Message;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The least every client takes over UDP (RFC 1035 §4.2.1).
const UDP_BYTES_PLAIN: u16 = 512;

pub(super) struct Sockets {
    pub(super) address: SocketAddr,
    stop: Arc<AtomicBool>,
}

/// Binds a free port for both transports.
pub(super) fn start(world: &Arc<Mutex<World>>) -> Sockets {
    let (udp, tcp) = bind();
    let address = udp.local_addr().expect("a bound socket");
    let stop = Arc::new(AtomicBool::new(false));
    let (udp_world, udp_stop) = (world.clone(), stop.clone());
    std::thread::spawn(move || serve_udp(&udp, &udp_world, &udp_stop));
    let (tcp_world, tcp_stop) = (world.clone(), stop.clone());
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            if tcp_stop.load(Ordering::Relaxed) {
                return;
            }
            let world = tcp_world.clone();
            if let Ok(stream) = stream {
                std::thread::spawn(move || serve_tcp(stream, &world));
            }
        }
    });
    Sockets { address, stop }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Both threads wait for something to come; this comes.
        let _ = TcpStream::connect(self.address);
        if let Ok(socket) = UdpSocket::bind(("127.0.0.1", 0)) {
            let _ = socket.send_to(&[], self.address);
        }
    }
}

fn bind() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        let address = udp.local_addr().expect("a bound socket");
        if let Ok(tcp) = TcpListener::bind(address) {
            return (udp, tcp);
        }
    }
    panic!("no port is free for UDP and TCP");
}

/// What comes back for one request, if anything.
fn reply(world: &Mutex<World>, request: &[u8]) -> Option<(Message, Message)> {
    let request = Message::from_vec(request).ok()?;
    let mut locked = world.lock().unwrap_or_else(PoisonError::into_inner);
    let reply = locked.answer(&request);
    let fault = request
        .queries
        .first()
        .and_then(|query| locked.fault(query));
    drop(locked);
    match fault {
        Some(Fault::Silence) => None,
        _ => Some((request, reply)),
    }
}

fn serve_udp(socket: &UdpSocket, world: &Mutex<World>, stop: &AtomicBool) {
    let mut buffer = [0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let Some((request, reply)) = reply(world, buffer.get(..length).unwrap_or_default()) else {
            continue;
        };
        let max = request
            .edns
            .as_ref()
            .map_or(UDP_BYTES_PLAIN, |e| e.max_payload());
        let bytes = reply.to_vec().expect("a message");
        let bytes = if bytes.len() > usize::from(max) {
            reply.truncate().to_vec().expect("a message")
        } else {
            bytes
        };
        let _ = socket.send_to(&bytes, from);
    }
}

fn serve_tcp(mut stream: TcpStream, world: &Mutex<World>) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut request = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut request).is_err() {
            return;
        }
        let Some((_, reply)) = reply(world, &request) else {
            continue;
        };
        let bytes = reply.to_vec().expect("a message");
        let length = u16::try_from(bytes.len()).expect("a message below 64 KiB");
        let framed = [&length.to_be_bytes()[..], &bytes].concat();
        if stream.write_all(&framed).is_err() {
            return;
        }
    }
}
