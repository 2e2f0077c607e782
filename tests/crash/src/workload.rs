//! What is done to the store and the segments before the power fails, and what must hold after it.
//! Uses the real accept transaction, the real tables and the real compaction.

use directory::AccountId;
use formats::address::Address;
use formats::message::Scanner;
use mailbox::Mailboxes;
use platform::clock::{Clock, Timestamp};
use platform::files::recording::{Fault, OperationLog};
use platform::files::{Files, RecordingFiles};
use platform::random::Random;
use platform::segments::{BodyRef, Recovery, SegmentOptions, Segments};
use platform::signals::Signals;
use platform::spool::{Spool, SpoolLimits};
use platform::store::{Engine, Options, Store, StoreError, Tx};
use queue::trace::TraceId;
use queue::{Accept, DeliverTo, DsnOptions, Notify, Queue, Recipient, ReversePath};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The accounts mail is delivered to.
const ACCOUNTS: [AccountId; 2] = [AccountId(1), AccountId(2)];
/// Where the workload's clock stands.
const START: Timestamp = Timestamp(1_790_000_000_000);
/// Body sizes, in turn: small, several chunks, past the memory limit, a segment of its own.
const BODY_BYTES: [usize; 8] = [300, 4_000, 900, 70_000, 20_000, 2_000, 140_000, 5_000];

/// The stores of one node, as a server has them.
pub struct Node {
    segments: Segments,
    store: Store,
    mailboxes: Mailboxes,
    queue: Queue,
    spools: Arc<Path>,
    /// What opening the segments found.
    pub recovery: Recovery,
}

impl Node {
    /// Opens, or creates, a node in `dir`.
    ///
    /// # Errors
    /// What the segments or the store say, as text.
    pub fn open(dir: &Path, files: Arc<dyn Files>) -> Result<Self, String> {
        let clock = Clock::settable(START);
        // Small enough that a short workload seals, gives large bodies segments of their own and
        // compacts.
        let options = SegmentOptions {
            segment_bytes_max: 150_000,
            own_segment_bytes_min: 100_000,
            open_files_max: 4,
            compact_after: Duration::ZERO,
            retire_after: Duration::ZERO,
            ..SegmentOptions::new(clock.clone(), Random::seeded(3))
        };
        let (segments, recovery) = Segments::open(&dir.join("segments"), options, files)
            .map_err(|error| format!("the segments do not open: {error}"))?;
        let options = Options {
            engine: Engine::Sqlite {
                path: dir.join("rohrpost.sqlite"),
            },
            readers: 1,
            gather_max: Duration::from_millis(5),
            before_commit: Some(segments.before_commit()),
        };
        let store = Store::open(options, &[mailbox::SCHEMA, queue::SCHEMA])
            .map_err(|error| format!("the store does not open: {error}"))?;
        let mailboxes = Mailboxes::new(store.clone(), segments.clone(), Signals::default(), clock);
        let queue = Queue::new(store.clone(), segments.clone(), mailboxes.clone());
        Ok(Self {
            segments,
            store,
            mailboxes,
            queue,
            spools: dir.into(),
            recovery,
        })
    }

    /// Makes the accounts' mailboxes.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn create_accounts(&self) -> Result<(), StoreError> {
        self.store
            .write(|tx| {
                for account in ACCOUNTS {
                    mailbox::create_account_mailboxes(tx, account, START)?;
                }
                Ok(())
            })
            .await
    }

    /// Accepts message `number` as a session does. `Ok` is a 250.
    ///
    /// # Errors
    /// What the peer would be told to try again for, as text.
    pub async fn accept(&self, number: usize) -> Result<(), String> {
        let bytes = message(number);
        let mut body = Spool::new(SpoolLimits {
            memory_bytes: 30_000,
            dir: self.spools.clone(),
        });
        let mut scanner = Scanner::new();
        for part in bytes.chunks(4096) {
            body.push(part).map_err(|error| error.to_string())?;
            scanner.push(part);
        }
        let recipient = |address: &str, deliver_to| {
            Address::parse(address).map(|address| Recipient {
                address,
                deliver_to,
                notify: Notify::DEFAULT,
                original: None,
            })
        };
        let mut recipients = vec![recipient("a@firma.test", DeliverTo::Account(ACCOUNTS[0]))];
        if number.is_multiple_of(3) {
            recipients.push(recipient("b@firma.test", DeliverTo::Account(ACCOUNTS[1])));
        }
        if number.is_multiple_of(5) {
            recipients.push(recipient("c@far.test", DeliverTo::Remote));
        }
        let recipients: Result<Vec<_>, _> = recipients.into_iter().collect();
        let accept = Accept {
            trace: TraceId(i64::try_from(number).unwrap_or(0) + 1),
            sender: ReversePath::Null,
            recipients: recipients.map_err(|error| error.to_string())?,
            submitter: None,
            dsn: DsnOptions::default(),
            body,
            facts: scanner.finish().to_bytes(),
            session: queue::trace::Session::default(),
            now: START,
            announced: Some(self.queue.expect()),
            dispatch: queue::Dispatch::default(),
        };
        self.queue
            .accept(accept)
            .await
            .map_err(|error| error.to_string())
    }

    /// Every body that rows refer to.
    async fn references(&self) -> Result<Vec<Named>, String> {
        let mut named = Vec::new();
        let mut after = None;
        loop {
            let page = self.mailboxes.references(after).await;
            let page = page.map_err(|error| error.to_string())?;
            let Some(last) = page.last().copied() else {
                break;
            };
            named.extend(page.iter().map(|reference| Named {
                whose: Whose::Account(reference.account),
                body: reference.body,
            }));
            after = Some(last);
        }
        let waiting = self
            .store
            .read(|tx| queue::verify::references(tx, 0))
            .await
            .map_err(|error| error.to_string())?;
        named.extend(waiting.into_iter().map(|reference| Named {
            whose: Whose::Queue,
            body: reference.body,
        }));
        Ok(named)
    }

    /// Compacts every segment that may be: copy, change rows, retire, remove.
    ///
    /// # Errors
    /// What failed, as text.
    pub async fn compact(&self) -> Result<(), String> {
        self.segments.seal_active();
        self.segments.sync().map_err(|error| error.to_string())?;
        for segment in self.segments.compactable() {
            let references = self.references().await?;
            let live: Vec<BodyRef> = references
                .iter()
                .map(|named| named.body)
                .filter(|body| body.segment == segment)
                .collect();
            let done = self.segments.compact(segment, &live);
            let done = done.map_err(|error| error.to_string())?;
            if !done.damaged.is_empty() {
                return Err(format!("damaged while compacting: {:?}", done.damaged));
            }
            let moved = done.moved;
            self.store
                .write(move |tx: &mut dyn Tx| {
                    for (old, new) in &moved {
                        mailbox::retarget(tx, *old, *new)?;
                        queue::verify::retarget(tx, *old, *new)?;
                    }
                    Ok::<(), StoreError>(())
                })
                .await
                .map_err(|error| error.to_string())?;
            self.segments
                .retire(segment)
                .map_err(|error| error.to_string())?;
        }
        for segment in self.segments.removable() {
            self.segments
                .remove(segment)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Takes some accepted messages away again, so that compaction has something to leave behind.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn forget(&self, numbers: std::ops::Range<usize>) -> Result<(), StoreError> {
        let first = i64::try_from(numbers.start).unwrap_or(0) + 1;
        let last = i64::try_from(numbers.end).unwrap_or(0);
        self.store
            .write(move |tx| {
                let range = platform::params![first, last];
                tx.execute("DELETE FROM messages WHERE trace BETWEEN ?1 AND ?2", range)?;
                tx.execute(
                    "DELETE FROM queue_recipients WHERE message BETWEEN ?1 AND ?2",
                    range,
                )?;
                tx.execute(
                    "DELETE FROM queue_messages WHERE message BETWEEN ?1 AND ?2",
                    range,
                )?;
                Ok(())
            })
            .await
    }

    /// Checks everything: each acknowledged message exactly once in each place, no other more than
    /// once, all of them whole, no damage anywhere.
    ///
    /// # Errors
    /// What does not hold, in words.
    pub async fn check(&self, promised: &Promised) -> Result<(), String> {
        if !self.recovery.rot.is_empty() {
            return Err(format!("opening reports rot: {:?}", self.recovery.rot));
        }
        let report = self.segments.verify(|_, _| ());
        if !report.findings.is_empty() {
            return Err(format!("verify finds {:?}", report.findings));
        }
        let mut counts: HashMap<(usize, Whose), usize> = HashMap::new();
        for named in self.references().await? {
            let number = self.read(&named.body)?;
            *counts.entry((number, named.whose)).or_default() += 1;
        }
        for ((number, whose), count) in &counts {
            if *count != 1 || !places(*number).contains(whose) {
                return Err(format!("message {number} is {count} times in {whose:?}"));
            }
            // One transaction: where a message is in one of its places, it is in all.
            if let Some(missing) = places(*number)
                .into_iter()
                .find(|place| !counts.contains_key(&(*number, *place)))
            {
                return Err(format!(
                    "message {number} is in {whose:?}, not in {missing:?}"
                ));
            }
            if promised.forgotten.contains(number) {
                return Err(format!("message {number} came back after it was removed"));
            }
        }
        match promised
            .acknowledged
            .iter()
            .find(|number| !counts.contains_key(&(**number, places(**number)[0])))
        {
            Some(lost) => Err(format!("the acknowledged message {lost} is lost")),
            None => Ok(()),
        }
    }

    /// Reads a body whole and says which message it is.
    fn read(&self, body: &BodyRef) -> Result<usize, String> {
        let size = u64::try_from(body.body_bytes).unwrap_or(0);
        let bytes = self
            .segments
            .read_body(body, 0..size)
            .map_err(|error| format!("a body cannot be read: {error}"))?;
        let facts = self
            .segments
            .read_facts(body)
            .map_err(|error| format!("facts cannot be read: {error}"))?;
        let text = String::from_utf8_lossy(&bytes);
        let number = text
            .strip_prefix("X-Number: ")
            .and_then(|rest| rest.split("\r\n").next())
            .and_then(|number| number.parse().ok())
            .ok_or("a body is no message of ours")?;
        if bytes != message(number) {
            return Err(format!("message {number} is not whole"));
        }
        formats::message::Facts::from_bytes(&facts)
            .map_err(|error| format!("the facts of message {number}: {error}"))?;
        Ok(number)
    }
}

/// Where a copy of a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Whose {
    Account(AccountId),
    Queue,
}

struct Named {
    whose: Whose,
    body: BodyRef,
}

/// Where message `number` goes.
fn places(number: usize) -> Vec<Whose> {
    let mut places = vec![Whose::Account(ACCOUNTS[0])];
    if number.is_multiple_of(3) {
        places.push(Whose::Account(ACCOUNTS[1]));
    }
    if number.is_multiple_of(5) {
        places.push(Whose::Queue);
    }
    places
}

/// The bytes of message `number`; no two are alike.
pub fn message(number: usize) -> Vec<u8> {
    let mut bytes = format!("X-Number: {number}\r\nSubject: crash\r\n\r\n").into_bytes();
    let wanted = BODY_BYTES[number % BODY_BYTES.len()];
    let mut line = number as u64;
    while bytes.len() < wanted {
        line = line.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bytes.extend_from_slice(format!("{line:064x}\r\n").as_bytes());
    }
    bytes
}

/// What was promised up to some position of the log.
#[derive(Debug, Clone, Default)]
pub struct Promised {
    /// Messages that were answered with 250 and not removed.
    pub acknowledged: Vec<usize>,
    /// Messages whose removal was acknowledged.
    pub forgotten: Vec<usize>,
}

impl Promised {
    /// Takes a mark of the log in.
    pub fn note(&mut self, mark: &str) {
        let mut words = mark.split(' ');
        let (what, number) = (words.next(), words.next().and_then(|n| n.parse().ok()));
        match (what, number) {
            (Some("accepted"), Some(number)) => self.acknowledged.push(number),
            // From here on it may be there or not.
            (Some("forgetting"), Some(number)) => self.acknowledged.retain(|n| *n != number),
            (Some("forgotten"), Some(number)) => self.forgotten.push(number),
            _ => {}
        }
    }
}

/// What goes wrong while the workload runs.
#[derive(Debug, Clone, Copy)]
pub enum Trouble {
    /// Nothing.
    None,
    /// The disk fails as told, in the middle of the accepts.
    Disk(Fault),
}

/// Runs the workload in `dir`: accepts in groups, some removed, compaction, more accepts, an orderly
/// end. Promises are marked in the log.
///
/// # Panics
/// Where something fails that no trouble explains.
pub async fn run(dir: &Path, log: &OperationLog, trouble: Trouble) {
    let files = Arc::new(RecordingFiles::new(log.clone()));
    let node = Node::open(dir, files).expect("a new node opens");
    node.create_accounts().await.expect("accounts are created");
    accept_all(&node, log, 0..24).await;
    if let Trouble::Disk(fault) = trouble {
        log.set_fault(Some(fault));
        accept_all(&node, log, 24..32).await;
        log.set_fault(None);
    }
    for number in 4..12 {
        log.mark(format!("forgetting {number}"));
    }
    if node.forget(4..12).await.is_ok() {
        for number in 4..12 {
            log.mark(format!("forgotten {number}"));
        }
    }
    let compacted = node.compact().await;
    assert!(
        compacted.is_ok() || matches!(trouble, Trouble::Disk(_)),
        "{compacted:?}"
    );
    accept_all(&node, log, 32..40).await;
}

/// Four at a time, as sessions do that finish together.
async fn accept_all(node: &Node, log: &OperationLog, numbers: std::ops::Range<usize>) {
    for first in numbers.clone().step_by(4) {
        let accept = |number: usize| async move {
            if number < numbers.end && node.accept(number).await.is_ok() {
                log.mark(format!("accepted {number}"));
            }
        };
        let accept = &accept;
        tokio::join!(
            accept(first),
            accept(first + 1),
            accept(first + 2),
            accept(first + 3)
        );
    }
}

/// Opens what is in `dir` after a power cut, checks it, and accepts one more message.
///
/// # Errors
/// What does not hold, in words.
pub async fn check_after_power_cut(dir: &Path, promised: &Promised) -> Result<(), String> {
    // What the check itself writes need not reach the real disk, which makes it ten times faster.
    let log = OperationLog::default();
    crate::sqlite_vfs::record(dir, log.clone());
    let node = Node::open(dir, Arc::new(RecordingFiles::new(log)))?;
    node.check(promised).await?;
    // The accounts' own creation may be what was cut off.
    if !promised.acknowledged.is_empty() {
        let mut promised = promised.clone();
        node.accept(1000).await?;
        promised.acknowledged.push(1000);
        node.check(&promised).await?;
    }
    Ok(())
}
