//! The client against a peer that plays a script: what the peer says decides what becomes of the
//! message, and a message is gone from here only when the peer has said that it has it.

use super::{Client, ClientSettings, ClientTimes};
use directory::Directory;
use formats::address::Address;
use formats::message::Facts;
use mailbox::Mailboxes;
use platform::clock::{Clock, Timestamp};
use platform::dns::StaticResolver;
use platform::files::RealFiles;
use platform::random::Random;
use platform::segments::{SegmentOptions, Segments};
use platform::signals::Signals;
use platform::spool::{Spool, SpoolLimits};
use platform::store::{Engine, Options, Store, StoreError};
use platform::tls::ClientTls;
use queue::relay::{Relay, RelayParts, RelaySettings};
use queue::{
    Accept, DeliverTo, DsnOptions, Notify, Queue, Recipient, ReversePath, TraceId, TraceIds,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

const START: Timestamp = Timestamp(1_700_000_000_000);

/// What the peer answers to a line that begins so; the first match counts. `.` is the end of the
/// message, an empty answer closes the connection.
type Answers = &'static [(&'static str, &'static str)];

/// A peer that knows no extension and takes everything.
const WILLING: Answers = &[
    ("EHLO", "250 mx.else.test"),
    ("DATA", "354 go on"),
    ("QUIT", "221 bye"),
    ("", "250 ok"),
];

/// Listens and plays `answers` to everybody.
async fn peer(answers: Answers) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (input, mut output) = stream.split();
                let mut lines = BufReader::new(input).lines();
                let _ = output.write_all(b"220 mx.else.test\r\n").await;
                let mut in_data = false;
                while let Ok(Some(line)) = lines.next_line().await {
                    if in_data && line != "." {
                        continue;
                    }
                    let fits = |(begin, _): &&(&str, &str)| line.starts_with(begin);
                    let answer = answers.iter().find(fits).map_or("", |(_, answer)| answer);
                    in_data = answer.starts_with("354");
                    if answer.is_empty() {
                        return;
                    }
                    let _ = output.write_all(format!("{answer}\r\n").as_bytes()).await;
                }
            });
        }
    });
    address
}

struct Rig {
    store: Store,
    queue: Queue,
    spool: SpoolLimits,
    _dir: tempfile::TempDir,
}

impl Rig {
    /// A queue whose next hop is `peer`.
    async fn new(peer: SocketAddr) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clock, random) = (Clock::settable(START), Random::seeded(1));
        let options = SegmentOptions::new(clock.clone(), random.clone());
        let files = Arc::new(RealFiles);
        let (segments, _) = Segments::open(&dir.path().join("segments"), options, files).unwrap();
        let options = Options {
            engine: Engine::Sqlite {
                path: dir.path().join("store.sqlite"),
            },
            readers: 1,
            gather_max: Duration::ZERO,
            before_commit: Some(segments.before_commit()),
        };
        let schemas = [directory::SCHEMA, mailbox::SCHEMA, queue::SCHEMA];
        let store = Store::open(options, &schemas).unwrap();
        let mailboxes = Mailboxes::new(
            store.clone(),
            segments.clone(),
            Signals::default(),
            clock.clone(),
        );
        let settings = directory::Settings::default();
        let directory = Directory::open(store.clone(), settings, random.clone()).await;
        let queue = Queue::new(store.clone(), segments, mailboxes);
        let spool = SpoolLimits {
            memory_bytes: 1 << 20,
            dir: dir.path().into(),
        };
        let client = Client::new(
            ClientSettings {
                host: "mx.rp.test".into(),
                next_hop: Some(peer.to_string()),
                port: 25,
                times: ClientTimes::default(),
            },
            Arc::new(StaticResolver::default()),
            ClientTls::new(None).unwrap(),
            random.clone(),
        );
        let parts = RelayParts {
            queue: queue.clone(),
            directory: directory.unwrap(),
            transport: Arc::new(client),
            clock: clock.clone(),
            random,
            traces: TraceIds::new(clock),
        };
        let settings = RelaySettings {
            attempts_max: 1,
            attempts_per_domain_max: 1,
            plan: Default::default(),
            host: "mx.rp.test".into(),
            spool: spool.clone(),
            poll: Duration::from_millis(10),
        };
        tokio::spawn(Relay::new(parts, settings).run());
        Self {
            store,
            queue,
            spool,
            _dir: dir,
        }
    }

    /// Sends a message to one recipient and gives what the trace says came of it.
    async fn relay(&self, text: &str) -> String {
        let trace = TraceId(7);
        let mut body = Spool::new(self.spool.clone());
        body.push(text.as_bytes()).unwrap();
        let accept = Accept {
            trace,
            sender: ReversePath::Null,
            recipients: vec![Recipient {
                address: Address::parse("x@else.test").unwrap(),
                deliver_to: DeliverTo::Remote,
                notify: Notify::DEFAULT,
                original: None,
            }],
            submitter: None,
            dsn: DsnOptions::default(),
            facts: Facts::scan(text.as_bytes()).to_bytes(),
            body,
            session: queue::trace::Session::default(),
            now: START,
            announced: None,
            dispatch: queue::Dispatch::default(),
        };
        self.queue.accept(accept).await.unwrap();
        for _ in 0..500 {
            let read = self.store.read(move |tx| queue::trace::read(tx, trace));
            let story = read.await.map_err(|error: StoreError| error).unwrap();
            if let Some(entry) = story.get(1) {
                return format!("{} {}", entry.event, entry.detail);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nothing came of the attempt");
    }
}

/// Says `reply` right after the go-ahead and closes, without reading the message.
async fn impatient_peer(reply: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let _ = stream.write_all(b"220 mx.else.test\r\n").await;
            let mut line = String::new();
            while !line.starts_with("DATA") {
                line.clear();
                let _ = stream.read_line(&mut line).await;
                let answer = if line.starts_with("DATA") {
                    "354"
                } else {
                    "250"
                };
                let _ = stream
                    .write_all(format!("{answer} ok\r\n").as_bytes())
                    .await;
            }
            let _ = stream.write_all(reply.as_bytes()).await;
            let _ = stream.shutdown().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    address
}

const MESSAGE: &str = "Subject: x\r\n\r\nhello\r\n";

#[tokio::test]
async fn what_the_peer_took_is_relayed() {
    let told = Rig::new(peer(WILLING).await).await.relay(MESSAGE).await;
    assert!(told.starts_with("relayed "), "{told}");
}

/// A peer out of step, or one that answers 250 to everything, has no message.
#[tokio::test]
async fn only_354_begins_the_message_and_only_2yz_ends_it() {
    for odd in [
        &[("DATA", "250 ok"), ("", "250 ok")][..],
        &[("DATA", "354 go on"), (".", "354 go on"), ("", "250 ok")],
        &[("DATA", "354 go on"), (".", ""), ("", "250 ok")],
        &[("MAIL", "354 go on"), ("", "250 ok")],
    ] {
        let told = Rig::new(peer(odd).await).await.relay(MESSAGE).await;
        assert!(told.starts_with("deferred "), "{odd:?} {told}");
    }
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_the_message_counts() {
    let message = format!("Subject: x\r\n\r\n{}", "hello\r\n".repeat(3_000_000));
    let peer = impatient_peer("552 5.3.4 too large\r\n").await;
    let told = Rig::new(peer).await.relay(&message).await;
    assert!(
        told.starts_with("failed ") && told.contains("552 5.3.4"),
        "{told}"
    );
}
