//! IMAP APPEND with non-synchronising literals, one or (`--multi`, MULTIAPPEND) several messages per
//! command. Each session has an account of its own unless `--user` names one for all.

use std::io::Result;
use std::rc::Rc;
use std::time::Instant;

use crate::accounting::Snapshot;
use crate::connection::Connection;
use crate::corpus::Corpus;
use crate::imap;
use crate::load::{Load, in_parallel};
use crate::record::Record;
use crate::smtp::OUTSIDE_SENDER;

/// What every appender needs.
#[derive(Clone)]
struct Plan {
    corpus: Rc<Corpus>,
    mailbox: String,
    count: usize,
    messages_per_command: usize,
}

pub(super) async fn run(load: Load) -> Result<Record> {
    let options = &load.options;
    let plan = Plan {
        corpus: Rc::new(Corpus::new(options.number("size", 4096), 256, 5)),
        mailbox: options.text("mbox", "INBOX"),
        count: options.number("count", 1000),
        messages_per_command: options.number("multi", 1),
    };
    let mut sessions = Vec::new();
    for number in 0..options.number("conns", 1) {
        let user = options
            .given("user")
            .map_or_else(|| load.user(number), str::to_owned);
        let mut session = imap::session(&load, &user).await?;
        if plan.mailbox != "INBOX" {
            // It is there already from the second run on.
            let _ = session
                .imap_command("C", &format!("CREATE {}", plan.mailbox))
                .await;
        }
        sessions.push(Some((session, user)));
    }
    let workers = sessions.len();
    let sessions = std::cell::RefCell::new(sessions);
    let before = Snapshot::take();
    let start = Instant::now();
    in_parallel(workers, |worker| {
        let session = sessions.borrow_mut()[worker].take();
        let (load, plan) = (load.clone(), plan.clone());
        async move {
            if let Some((session, user)) = session {
                append_many(&load, &plan, session, &user).await;
            }
        }
    })
    .await;
    let seconds = start.elapsed().as_secs_f64();
    let cost = super::server_cost(&before, plan.count);
    Ok(Record::default()
        .count("errors", load.tally.errors.get())
        .count("size", plan.corpus.size)
        .figure("appends_per_s", plan.count as f64 / seconds, 1)
        .and(load.tally.latencies.borrow().record("append"))
        .and(cost))
}

async fn append_many(load: &Load, plan: &Plan, mut session: Connection, user: &str) {
    let (mut command, mut message) = (Vec::new(), Vec::new());
    while write_command(load, plan, user, &mut command, &mut message) {
        let start = Instant::now();
        match send(&mut session, &command).await {
            Ok(()) => load.tally.latencies.borrow_mut().add_since(start),
            Err(error) => {
                load.failed(&error);
                break;
            }
        }
    }
    imap::logout(session).await;
}

async fn send(session: &mut Connection, command: &[u8]) -> Result<()> {
    session.write(command).await?;
    session.imap_response("A1", |_| {}).await
}

/// Puts the next command into `command`; false when no messages are left.
fn write_command(
    load: &Load,
    plan: &Plan,
    user: &str,
    command: &mut Vec<u8>,
    message: &mut Vec<u8>,
) -> bool {
    command.clear();
    for _ in 0..plan.messages_per_command {
        let Some(number) = load.next(plan.count) else {
            break;
        };
        if command.is_empty() {
            command.extend_from_slice(format!("A1 APPEND {}", plan.mailbox).as_bytes());
        }
        message.clear();
        plan.corpus.write(number, OUTSIDE_SENDER, user, message);
        command.extend_from_slice(format!(" () {{{}+}}\r\n", message.len()).as_bytes());
        command.extend_from_slice(message);
    }
    let any = !command.is_empty();
    command.extend_from_slice(b"\r\n");
    any
}
