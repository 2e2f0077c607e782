//! The IMAP client: a session that is logged in, STATUS, and an IDLE that waits.

use std::io::Result;

use crate::connection::Connection;
use crate::load::Load;

/// Connects, starts TLS unless `--imaptls none`, and logs in.
pub(crate) async fn session(load: &Load, user: &str) -> Result<Connection> {
    let mut connection = Connection::open(&load.options.text("imap", "127.0.0.1:993")).await?;
    if load.options.text("imaptls", "implicit") == "implicit" {
        connection.start_tls(&load.tls).await?;
    }
    connection.line().await?;
    connection
        .imap_command("L0", &format!("LOGIN {user} {}", load.password()))
        .await?;
    load.connected(&connection);
    Ok(connection)
}

/// A session in IDLE on INBOX; the server has said so.
pub(crate) async fn idling_session(load: &Load, user: &str) -> Result<Connection> {
    let mut connection = session(load, user).await?;
    connection.imap_command("a", "SELECT INBOX").await?;
    connection.write(b"I1 IDLE\r\n").await?;
    connection.line().await?;
    Ok(connection)
}

/// Messages in the mailbox, by STATUS.
pub(crate) async fn status(connection: &mut Connection, mailbox: &str) -> Result<usize> {
    connection
        .write(format!("S1 STATUS {mailbox} (MESSAGES)\r\n").as_bytes())
        .await?;
    let mut messages = 0;
    let find = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        if let Some((_, count)) = line.split_once("MESSAGES ") {
            messages = count.trim_end_matches([')', ' ']).parse().unwrap_or(0);
        }
    };
    connection.imap_response("S1", find).await?;
    Ok(messages)
}

/// Waits for the next line that tells of new messages.
pub(crate) async fn wait_for_exists(connection: &mut Connection) -> Result<()> {
    loop {
        let line = connection.line().await?;
        if connection.text(line).ends_with(b"EXISTS") {
            return Ok(());
        }
    }
}

/// LOGOUT; how it ends does not matter.
pub(crate) async fn logout(mut connection: Connection) {
    let _ = connection.imap_command("Z", "LOGOUT").await;
}
