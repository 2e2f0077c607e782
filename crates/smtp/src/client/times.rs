//! How long the client waits for each step (RFC 5321 §4.5.3.2).

use std::time::Duration;

/// How long each step may take.
#[derive(Debug, Clone, Copy)]
pub struct ClientTimes {
    /// Until connected, and again until the handshake is done.
    pub connect: Duration,
    /// Greeting, EHLO, MAIL, RCPT, STARTTLS.
    pub command: Duration,
    /// Until the go-ahead for DATA.
    pub data: Duration,
    /// Sending a chunk of the message.
    pub chunk: Duration,
    /// Until the reply to the final dot.
    pub end: Duration,
}

impl Default for ClientTimes {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            command: Duration::from_secs(5 * 60),
            data: Duration::from_secs(2 * 60),
            chunk: Duration::from_secs(3 * 60),
            end: Duration::from_secs(10 * 60),
        }
    }
}
