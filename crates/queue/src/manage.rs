//! What operators and senders do to waiting mail: hold, release, retry, reroute, return, cancel.
//! Works on the rows, page by page, and tells the worker of this program, if one runs. A command
//! beside a running node must ask that node instead, or a cancellation would not be exact.

use crate::accept::{HELD, Queue};
use crate::list::{self, Filter, Row};
use crate::schedule::{Ordered, Waiting};
use crate::trace::{self, Event, TraceId};
use crate::work::share;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};

/// `held` of what an operator holds.
const HELD_BY_OPERATOR: &str = "operator";

/// What is to be done with waiting recipients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Keep them until they are released.
    Hold,
    /// End a hold and the time for undoing; they leave now.
    Release,
    /// Try them now, and their destinations too. What is held or kept back stays so.
    Retry,
    /// Send them to this `host:port`; `None` goes back to the DNS.
    Reroute(Option<String>),
    /// Give up; their senders get notices.
    Return,
}

/// What came of one page of an order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Done {
    /// Recipients that were changed.
    pub changed: u64,
    /// Recipients that could not be sent another way, because they are being tried at this moment;
    /// two attempts at once would send them twice.
    #[serde(default)]
    pub under_way: u64,
    /// Where to go on; `None` at the end.
    pub next: Option<(i64, i64)>,
}

/// A message that was called back before anything of it left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// The message, as text.
    pub message: String,
    /// MAIL FROM.
    pub sender: String,
    /// Who would have got it.
    pub recipients: Vec<String>,
    /// When it was taken over, milliseconds since 1970.
    pub accepted_ms: i64,
}

/// Why a message could not be called back.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// It is not in the queue: it has left, or there was never one.
    #[error("this message does not wait any more; `rohrpost trace` tells what became of it")]
    NotWaiting,
    /// Some of it was delivered or tried.
    #[error("a part of this message was delivered or tried already")]
    Attempted,
    /// It is being sent at this moment.
    #[error("this message is being sent at this moment")]
    UnderWay,
    /// The store failed; whether it was called back is not known where the store says so.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Queue {
    /// Carries out an order for one page of what `filter` means, after the recipient `after`.
    ///
    /// # Errors
    /// Those of the store; nothing of the page was changed then.
    pub async fn order(
        &self,
        filter: &Filter,
        order: &Order,
        after: Option<(i64, i64)>,
        now: Timestamp,
    ) -> Result<Done, StoreError> {
        let wanted = filter.clone();
        let rows = self
            .store
            .read(move |tx| list::page(tx, &wanted, after))
            .await?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|rows| rows >= list::PAGE_ROWS);
        let next = rows.last().map(|row| (row.message.0, row.n));
        let mut rows: Vec<Row> = (rows.into_iter())
            .filter(|row| is_meant(row, order, now))
            .collect();
        let meant = rows.len();
        let _frozen = match order {
            Order::Reroute(_) => {
                let (frozen, busy) = self.freeze(rows.iter().map(|row| row.message.0));
                rows.retain(|row| !busy.contains(&row.message.0));
                Some(frozen)
            }
            _ => None,
        };
        let mut done = Done {
            changed: 0,
            under_way: u64::try_from(meant - rows.len()).unwrap_or(0),
            next: next.filter(|_| is_full),
        };
        if rows.is_empty() {
            return Ok(done);
        }
        let (wanted, changing) = (order.clone(), rows.clone());
        done.changed = self
            .store
            .write(move |tx| carry_out(tx, &changing, &wanted, now))
            .await?;
        self.tell_worker(&rows, order, now);
        Ok(done)
    }

    /// Keeps the worker from beginning with messages until the guard goes; gives those that are
    /// under way, which it has no effect on.
    fn freeze(&self, messages: impl Iterator<Item = i64>) -> (Frozen<'_>, HashSet<i64>) {
        let mut messages: HashSet<i64> = messages.collect();
        let busy = self.work.schedule(|schedule| schedule.freeze(&messages));
        let busy = busy.unwrap_or_default();
        messages.retain(|message| !busy.contains(message));
        let frozen = Frozen {
            queue: self,
            messages,
        };
        (frozen, busy)
    }

    fn tell_worker(&self, rows: &[Row], order: &Order, now: Timestamp) {
        self.work.forget_fresh(rows.iter().map(|row| row.message.0));
        if *order == Order::Hold {
            return;
        }
        let routes: Vec<_> = (rows.iter())
            .map(|row| {
                let mut row = row.clone();
                if let Order::Reroute(route) = order {
                    row.route.clone_from(route);
                }
                row.destination().into_owned()
            })
            .collect();
        if *order != Order::Return {
            let destinations: BTreeSet<&String> = routes.iter().collect();
            self.work.schedule(|schedule| {
                for destination in destinations {
                    schedule.reset(destination);
                }
            });
        }
        let policies = self.policies.as_ref();
        let waiting: Vec<_> = (rows.iter().zip(&routes))
            .map(|(row, destination)| Waiting {
                message: row.message.0,
                domain: destination,
                group: row.group.as_deref(),
                share: share(policies, row.group.as_deref()),
                due: now,
                priority: i8::try_from(row.priority).unwrap_or(0),
                warned: row.warned,
                ordered: match (order, row.ordered_back) {
                    (Order::Return, _) | (_, true) => Ordered::Return,
                    _ => Ordered::Nothing,
                },
            })
            .collect();
        self.work.found(&waiting);
        self.work.wake();
    }

    /// Calls a message back. Exact: either nothing of it left and nothing ever will, or an error.
    ///
    /// # Errors
    /// See `CancelError`.
    pub async fn cancel(&self, id: TraceId, now: Timestamp) -> Result<Cancelled, CancelError> {
        // While the rows are looked at, the worker must not begin with it.
        let (_frozen, busy) = self.freeze(std::iter::once(id.0));
        if !busy.is_empty() {
            return Err(CancelError::UnderWay);
        }
        let cancelled = self.store.write(move |tx| take_back(tx, id, now)).await;
        if cancelled.is_ok() {
            self.work.forget_fresh(std::iter::once(id.0));
        }
        cancelled
    }
}

/// Ends a freeze however the order ends.
struct Frozen<'a> {
    queue: &'a Queue,
    messages: HashSet<i64>,
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let work = &self.queue.work;
        work.schedule(|schedule| schedule.thaw(self.messages.iter()));
        // What waited for the end of the freeze may begin.
        work.wake();
    }
}

/// Whether an order changes anything for a recipient.
fn is_meant(row: &Row, order: &Order, now: Timestamp) -> bool {
    let is_held = row.next_attempt_at == HELD;
    let is_kept_back = row.release_at.is_some_and(|at| at > now);
    match order {
        Order::Hold => !is_held,
        Order::Release => is_held || is_kept_back,
        Order::Retry => !is_held && !is_kept_back,
        // What stays here has no way that could be changed.
        Order::Reroute(_) => !row.domain.is_empty(),
        Order::Return => true,
    }
}

fn carry_out(
    tx: &mut dyn Tx,
    rows: &[Row],
    order: &Order,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut changed = 0;
    for row in rows {
        let (message, n) = (row.message.0, row.n);
        let known = match order {
            Order::Hold => tx.execute(
                "UPDATE queue_recipients SET held = ?3, next_attempt_at = ?4 \
                 WHERE message = ?1 AND n = ?2",
                params![message, n, HELD_BY_OPERATOR, HELD.0],
            )?,
            Order::Release => release(tx, message, n, now)?,
            Order::Retry => tx.execute(
                "UPDATE queue_recipients SET next_attempt_at = ?3 \
                 WHERE message = ?1 AND n = ?2 AND held IS NULL",
                params![message, n, now.0],
            )?,
            Order::Reroute(route) => {
                let known = tx.execute(
                    "UPDATE queue_recipients SET route = ?3 WHERE message = ?1 AND n = ?2",
                    params![message, n, route.as_deref()],
                )?;
                if is_meant(row, &Order::Retry, now) {
                    tx.execute(
                        "UPDATE queue_recipients SET next_attempt_at = ?3 \
                         WHERE message = ?1 AND n = ?2",
                        params![message, n, now.0],
                    )?;
                }
                known
            }
            Order::Return => tx.execute(
                "UPDATE queue_recipients SET ordered = 1, held = NULL, next_attempt_at = ?3 \
                 WHERE message = ?1 AND n = ?2",
                params![message, n, now.0],
            )?,
        };
        if known > 0 {
            changed += known;
            let text = told(order, &row.recipient);
            trace::write(tx, row.message, now, n + 1, Event::Ordered, &text)?;
        }
    }
    Ok(changed)
}

/// The time in which it is tried begins anew: it was not its sender's fault that it waited.
fn release(tx: &mut dyn Tx, message: i64, n: i64, now: Timestamp) -> Result<u64, StoreError> {
    tx.execute(
        "UPDATE queue_messages SET release_at = ?2 WHERE message = ?1",
        params![message, now.0],
    )?;
    tx.execute(
        "UPDATE queue_recipients SET held = NULL, next_attempt_at = ?3 \
         WHERE message = ?1 AND n = ?2",
        params![message, n, now.0],
    )
}

fn told(order: &Order, recipient: &str) -> String {
    match order {
        Order::Hold => format!("The operator holds what is for <{recipient}>."),
        Order::Release => format!("What is for <{recipient}> was released."),
        Order::Retry => format!("The operator has <{recipient}> tried again now."),
        Order::Reroute(Some(route)) => {
            format!("The operator sends what is for <{recipient}> to {route}.")
        }
        Order::Reroute(None) => {
            format!("The operator sends what is for <{recipient}> the usual way again.")
        }
        Order::Return => format!("The operator returns what is for <{recipient}>."),
    }
}

/// Takes a message back where all of its recipients are there and none was tried.
fn take_back(tx: &mut dyn Tx, id: TraceId, now: Timestamp) -> Result<Cancelled, CancelError> {
    let message = tx.one(
        "SELECT sender, accepted_at, recipients FROM queue_messages WHERE message = ?1",
        params![id.0],
        |row| Ok((row.text(0)?.to_owned(), row.int(1)?, row.int(2)?)),
    )?;
    let Some((sender, accepted_ms, began_with)) = message else {
        return Err(CancelError::NotWaiting);
    };
    let rows = tx.all(
        "SELECT address, attempts, ordered FROM queue_recipients WHERE message = ?1 ORDER BY n",
        params![id.0],
        |row| Ok((row.text(0)?.to_owned(), row.int(1)? + row.int(2)?)),
    )?;
    let is_whole = i64::try_from(rows.len()).is_ok_and(|rows| rows == began_with);
    if !is_whole || rows.iter().any(|(_, attempts)| *attempts > 0) {
        return Err(CancelError::Attempted);
    }
    tx.execute(
        "DELETE FROM queue_recipients WHERE message = ?1",
        params![id.0],
    )?;
    tx.execute(
        "DELETE FROM queue_messages WHERE message = ?1",
        params![id.0],
    )?;
    let text = "It was called back before anything of it left.";
    trace::write(tx, id, now, 0, Event::Cancelled, text)?;
    Ok(Cancelled {
        message: id.to_string(),
        sender,
        recipients: rows.into_iter().map(|(address, _)| address).collect(),
        accepted_ms,
    })
}
