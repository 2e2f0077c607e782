//! The SMTP server: one session per connection, for other servers (mx) and customers (submission).
//! `serve` is the entry; `commands/` has a file per verb and their table, `state` the order they come
//! in, `rulings/` every decision. Answers 250 to a message only after `queue` made it durable.

mod commands;
mod device;
mod dispatch;
mod extension;
pub mod fuzz;
mod header_gate;
mod header_report;
mod incoming;
mod quota;
mod relay;
mod results_field;
mod rules;
mod rulings;
mod senders;
mod session;
mod settings;
mod spoofed;
mod state;
mod takeover;
mod trace_fields;

pub use extension::Extension;
pub use settings::{Listener, LoginOffer, Role, ServerContext, Services, Settings};

use platform::net::Connection;
use session::Session;
use std::sync::Arc;

/// Serves one connection of a listener with role mx, securemx or submission to its end. Whatever the
/// peer does, it is not an error: the session says what there is to say and closes.
pub fn serve(
    connection: Connection,
    context: Arc<ServerContext>,
    listener: Arc<Listener>,
) -> impl Future<Output = ()> + Send {
    let role = Role::of(connection.spec.role);
    if role.is_none() {
        tracing::error!(
            listener = %connection.spec.address,
            "a listener of another protocol was wired to the SMTP server"
        );
    }
    // Made here and not inside, where an idle session would keep room for the connection twice.
    let mut session = role.map(|role| Session::new(connection, role, context, listener));
    async move {
        if let Some(session) = &mut session {
            session.run().await;
        }
    }
}

#[cfg(test)]
mod tests;
