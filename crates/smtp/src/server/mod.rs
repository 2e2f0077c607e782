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
mod rules;
mod rulings;
mod senders;
mod session;
mod settings;
mod state;
mod takeover;
mod trace_fields;

pub use extension::Extension;
pub use settings::{Listener, LoginOffer, Role, ServerContext, Services, Settings};

use platform::net::Connection;
use std::sync::Arc;

/// Serves one connection of a listener with role mx, securemx or submission to its end. Whatever the
/// peer does, it is not an error: the session says what there is to say and closes.
pub async fn serve(connection: Connection, context: Arc<ServerContext>, listener: Arc<Listener>) {
    match Role::of(connection.spec.role) {
        Some(role) => {
            let mut session = session::Session::new(connection, role, context, listener);
            session.run().await;
        }
        None => tracing::error!(
            listener = %connection.spec.address,
            "a listener of another protocol was wired to the SMTP server"
        ),
    }
}

#[cfg(test)]
mod tests;
