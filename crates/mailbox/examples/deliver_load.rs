//! Measures deliveries: CPU, bytes written and time per delivery with 16 producers that wait for
//! durability each time. Run it as a release build:
//!   cargo run --release -p mailbox --example deliver_load -- [DELIVERIES] [ACCOUNTS] [BODY_BYTES]
//! BODY_BYTES 0 writes rows only. At the end it selects the INBOX of the first account and reads all
//! flags and all rows of it. Linux only, because it reads /proc.

use directory::AccountId;
use mailbox::{
    DeliverInto, Delivery, Error, Flags, INBOX, MailboxName, Mailboxes, RecentClaim, SCHEMA,
    create_account_mailboxes, deliver,
};
use platform::clock::Clock;
use platform::files::RealFiles;
use platform::random::Random;
use platform::segments::{BodyRef, SegmentOptions, Segments};
use platform::signals::Signals;
use platform::spool::{Spool, SpoolLimits};
use platform::store::{Engine, Options, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const PRODUCERS: usize = 16;

/// What the process has used so far.
struct Used {
    cpu_ms: f64,
    written_bytes: f64,
}

impl Used {
    fn now() -> Result<Self, Box<dyn std::error::Error>> {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        // Fields 14 and 15 of proc(5): user and system time in ticks of 10 ms.
        let ticks: f64 = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|t| t.parse::<f64>().ok())
            .sum();
        let io = std::fs::read_to_string("/proc/self/io")?;
        let written = io
            .lines()
            .find_map(|line| line.strip_prefix("write_bytes: "));
        Ok(Self {
            cpu_ms: ticks * 10.0,
            written_bytes: written.unwrap_or("0").parse()?,
        })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<i64> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let argument = |at: usize, default: i64| arguments.get(at).copied().unwrap_or(default);
    let (deliveries, accounts, body_bytes) =
        (argument(0, 50_000), argument(1, 100), argument(2, 0));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(deliveries, accounts, usize::try_from(body_bytes)?))
}

async fn run(
    deliveries: i64,
    accounts: i64,
    body_bytes: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::Builder::new()
        .prefix("deliver-load")
        .tempdir_in(".")?;
    let clock = Clock::system();
    let options = SegmentOptions::new(clock.clone(), Random::from_os());
    let (segments, _) = Segments::open(&dir.path().join("segments"), options, Arc::new(RealFiles))?;
    let options = Options {
        engine: Engine::Sqlite {
            path: dir.path().join("store.sqlite"),
        },
        readers: 1,
        gather_max: Duration::from_millis(1),
        before_commit: Some(segments.before_commit()),
    };
    let store = Store::open(options, &[SCHEMA])?;
    let mailboxes = Mailboxes::new(
        store.clone(),
        segments.clone(),
        Signals::default(),
        clock.clone(),
    );
    let start = clock.now();
    let create = move |tx: &mut dyn platform::store::Tx| {
        (1..=accounts).try_for_each(|a| create_account_mailboxes(tx, AccountId(a), start))
    };
    store.write(create).await?;

    let (before, begun) = (Used::now()?, clock.now());
    let next = Arc::new(AtomicI64::new(0));
    let mut producers = Vec::new();
    for _ in 0..PRODUCERS {
        let producer = Producer {
            store: store.clone(),
            segments: segments.clone(),
            mailboxes: mailboxes.clone(),
            clock: clock.clone(),
            next: next.clone(),
            dir: dir.path().into(),
        };
        producers.push(tokio::spawn(producer.run(deliveries, accounts, body_bytes)));
    }
    for producer in producers {
        producer.await??;
    }
    let (after, elapsed) = (Used::now()?, clock.now().since(begun));
    let count = deliveries as f64;
    println!(
        "{deliveries} deliveries to {accounts} accounts, {body_bytes} body bytes: \
         {:.0}/s, {:.1} us CPU each, {:.0} bytes written each",
        count / elapsed.as_secs_f64(),
        (after.cpu_ms - before.cpu_ms) * 1000.0 / count,
        (after.written_bytes - before.written_bytes) / count,
    );
    read_back(&mailboxes).await
}

/// What a SELECT and a FETCH 1:* of the first account's INBOX cost here.
async fn read_back(mailboxes: &Mailboxes) -> Result<(), Box<dyn std::error::Error>> {
    const ROUNDS: u32 = 20;
    let (account, inbox) = (AccountId(1), MailboxName::inbox());
    let mut messages = 0;
    let mut cpu_ms = Vec::new();
    let mut used = Used::now()?;
    for what in ["select", "flags", "rows"] {
        for _ in 0..ROUNDS {
            let view = mailboxes.open(account, &inbox, RecentClaim::Leave).await?;
            messages = view.status.messages;
            let mut wanted = view.uids;
            while what == "flags" && !wanted.is_empty() {
                wanted = mailboxes.flag_rows(account, INBOX, wanted).await?.rest;
            }
            while what == "rows" && !wanted.is_empty() {
                wanted = mailboxes
                    .rows(account, INBOX, wanted, usize::MAX)
                    .await?
                    .rest;
            }
        }
        let now = Used::now()?;
        cpu_ms.push((now.cpu_ms - used.cpu_ms) / f64::from(ROUNDS));
        used = now;
    }
    println!(
        "{messages} messages: select {:.1} ms CPU, with all flags {:.1} ms, with all rows {:.1} ms",
        cpu_ms[0], cpu_ms[1], cpu_ms[2]
    );
    Ok(())
}

struct Producer {
    store: Store,
    segments: Segments,
    mailboxes: Mailboxes,
    clock: Clock,
    next: Arc<AtomicI64>,
    dir: Arc<std::path::Path>,
}

impl Producer {
    async fn run(self, deliveries: i64, accounts: i64, body_bytes: usize) -> Result<(), Error> {
        let bytes = vec![b'x'; body_bytes];
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= deliveries {
                return Ok(());
            }
            // Spread over the accounts without an order.
            let account = AccountId(number.wrapping_mul(7_919) % accounts + 1);
            let now = self.clock.now();
            let expected = self.store.expect_write();
            let body = self.body(number, &bytes)?;
            let written = expected.write(move |tx| {
                let delivery = Delivery {
                    account,
                    mailbox: DeliverInto::Inbox,
                    body,
                    prefix: "Delivered-To: somebody@firma.test\r\n",
                    flags: Flags::NONE,
                    internal_date: now,
                    trace: number + 1,
                };
                deliver(tx, &delivery)
            });
            written.await?;
            self.mailboxes.announce(account);
        }
    }

    fn body(&self, number: i64, bytes: &[u8]) -> Result<BodyRef, Error> {
        if bytes.is_empty() {
            return Ok(BodyRef {
                segment: 1,
                offset: number * 100,
                facts_bytes: 1,
                body_bytes: 1,
            });
        }
        let limits = SpoolLimits {
            memory_bytes: 1 << 20,
            dir: self.dir.clone(),
        };
        let mut spool = Spool::new(limits);
        spool.push(bytes)?;
        Ok(self.segments.append(b"facts", &spool)?)
    }
}
