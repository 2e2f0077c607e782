//! LOGOUT (RFC 3501 §6.1.3): says BYE, answers, ends.

use crate::imap::reply::Reply;
use crate::imap::session::{Session, State};
use crate::imap::wire::Ended;

pub(super) async fn run(session: &mut Session) -> Result<Option<Reply>, Ended> {
    if let State::Selected(selected) = &mut session.state {
        selected.leave(&session.wire).await;
    }
    let tag = session.wire.tag.clone();
    let out = session.wire.out();
    out.extend_from_slice(b"* BYE Goodbye.\r\n");
    Reply::ok("Logged out.").write(out, &tag);
    session.wire.flush().await?;
    Err(Ended::Said)
}
