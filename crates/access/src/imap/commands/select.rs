//! SELECT and EXAMINE (RFC 3501 §6.3.1, §6.3.2): opens a mailbox. Reads no message, however many there are.

use super::Outcome;
use crate::imap::names;
use crate::imap::reply::{Code, Reply};
use crate::imap::selected::{Access, Selected};
use crate::imap::session::{Session, State};
use crate::imap::wire::push_number;
use mailbox::RecentClaim;

pub(super) async fn run(session: &mut Session, mailbox: &[u8], access: Access) -> Outcome {
    let Some(identity) = session.state.identity().cloned() else {
        return Ok(super::out_of_order());
    };
    // RFC 3501 §6.3.1: a SELECT that fails leaves no mailbox selected.
    if let State::Selected(selected) = &mut session.state {
        selected.leave(&session.wire).await;
        // RFC 7162 §3.2.11: what came before this line was of the mailbox before.
        session
            .wire
            .out()
            .extend_from_slice(b"* OK [CLOSED] The mailbox before is closed.\r\n");
    }
    session.become_state(State::Known(identity.clone()));
    let name = match names::from_wire(mailbox) {
        Ok(name) => name,
        Err(reply) => return Ok(reply),
    };
    let mailboxes = session.wire.context.mailboxes.clone();
    let subscription = mailboxes.subscribe_to(identity.account);
    let claim = match access {
        Access::ReadWrite => RecentClaim::Take,
        Access::ReadOnly => RecentClaim::Leave,
    };
    let view = match mailboxes.open(identity.account, &name, claim).await {
        Ok(view) => view,
        Err(error) => return Ok(Reply::from(error)),
    };
    let out = session.wire.out();
    let status = view.status;
    let unseen = view.first_unseen.and_then(|uid| view.uids.sequence_of(uid));
    let selected = Selected::new(identity, access, view, subscription);
    selected.write_flag_lines(out);
    selected.write_exists(out);
    if let Some(unseen) = unseen {
        write_code(
            out,
            b"UNSEEN",
            u64::from(unseen),
            b"The first message without \\Seen.",
        );
    }
    write_code(
        out,
        b"UIDVALIDITY",
        u64::from(status.uidvalidity),
        b"UIDs are valid.",
    );
    write_code(out, b"UIDNEXT", u64::from(status.uidnext), b"The next UID.");
    // RFC 7162 §3.1.2.1.
    write_code(
        out,
        b"HIGHESTMODSEQ",
        status.highest_modseq.unsigned_abs(),
        b"The last change.",
    );
    session.become_state(State::Selected(Box::new(selected)));
    Ok(match access {
        Access::ReadWrite => Reply::ok_with(Code::ReadWrite, "Selected."),
        Access::ReadOnly => Reply::ok_with(Code::ReadOnly, "Selected for reading."),
    })
}

fn write_code(out: &mut Vec<u8>, name: &[u8], number: u64, text: &[u8]) {
    out.extend_from_slice(b"* OK [");
    out.extend_from_slice(name);
    out.push(b' ');
    push_number(out, number);
    out.extend_from_slice(b"] ");
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}
