//! USER (RFC 1939 §7): a name, kept for PASS. Answered alike for every name.

use super::super::session::{Session, State};
use super::{no_login, password_is_offered};
use admission::Unoffered;

pub(super) async fn run(session: &mut Session, name: String) {
    if let Err(barred) = session.offer() {
        let now = session.context.clock.now();
        let attempt = Unoffered::Name(&name);
        let desk = &session.context.desk;
        desk.turned_away(&session.visit(), &attempt, now).await;
        no_login(session, &barred);
        // Kept all the same: if a password follows, this is whose it is.
        session.state = State::Authorization { user: Some(name) };
        return;
    }
    if !password_is_offered(session) {
        session.refuse("this server wants AUTH with one of the mechanisms that CAPA lists");
        return;
    }
    session.state = State::Authorization { user: Some(name) };
    session.ok("now the password");
}
