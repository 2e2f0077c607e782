//! How commands reach the admin API: over the socket of the node that runs on the data directory, or, where none runs,
//! the same API in this process over the same store, which takes no lock and starts nothing. Either way they act as the
//! operator, and the audit log has what they change. Holds no command of its own.

use super::stores;
use crate::node::http::{face_beside, socket_path, user_name};
use crate::node::parts_beside;
use crate::settings::Settings;
use https::Face;
use https::client::{Answer, Question, Sent, ask, ask_here};
use platform::store::Store;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Put,
    Post,
    Patch,
    Delete,
}

impl Method {
    fn word(self) -> &'static str {
        match self {
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// The admin API of the node that runs here, or the same one over the store where none runs. Acts as the operator.
pub(super) struct AdminApi {
    way: Way,
    by: Option<String>,
}

enum Way {
    /// The socket of a running node.
    Node(PathBuf),
    /// Nobody runs.
    Here { face: Face, user: String },
}

impl AdminApi {
    /// For commands that look: where there is no data yet, nothing is made.
    ///
    /// # Errors
    /// In words: no data, data that cannot be used, a node that does not let this user in.
    pub(super) async fn open(settings: &Settings) -> Result<Self, String> {
        Self::open_as(settings, stores::open_store).await
    }

    /// For commands that change something: a new installation begins with the first of them.
    ///
    /// # Errors
    /// As `open`.
    pub(super) async fn open_or_create(settings: &Settings) -> Result<Self, String> {
        Self::open_as(settings, stores::open_or_create_store).await
    }

    async fn open_as(
        settings: &Settings,
        store: fn(&Settings) -> Result<Store, String>,
    ) -> Result<Self, String> {
        let socket = socket_path(&settings.data_dir);
        let way = match UnixStream::connect(&socket).await {
            Ok(_) => Way::Node(socket),
            // The node stopped and took its socket along, or was killed and left it.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused
                ) =>
            {
                belongs_to_us(&settings.data_dir)?;
                here(settings, store(settings)?).await?
            }
            Err(error) => {
                return Err(format!(
                    "the node's socket {} cannot be used: {error}; run commands as the user the node runs as",
                    socket.display()
                ));
            }
        };
        Ok(Self { way, by: None })
    }

    /// The same; histories name `by` instead of the user of the operating system.
    pub(super) fn acting_for(mut self, by: Option<&str>) -> Self {
        self.by = by.map(str::to_owned);
        self
    }

    /// Looks at something.
    ///
    /// # Errors
    /// The problem's own words.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        read(&self.ask("GET", path, Sent::Nothing).await?)
    }

    /// Looks at something that is text, such as CSV or TOML.
    ///
    /// # Errors
    /// The problem's own words.
    pub(super) async fn text(&self, path: &str) -> Result<String, String> {
        let answer = self.ask("GET", path, Sent::Nothing).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Changes something, or asks what a change would do. `()` is the answer of what tells nothing.
    ///
    /// # Errors
    /// The problem's own words.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, String> {
        let body = serde_json::to_string(body).map_err(|error| error.to_string())?;
        read(&self.ask(method.word(), path, Sent::Json(body)).await?)
    }

    /// Removes something that the path alone names.
    ///
    /// # Errors
    /// The problem's own words.
    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        read(&self.ask("DELETE", path, Sent::Nothing).await?)
    }

    /// The same where text is sent, such as a state file.
    ///
    /// # Errors
    /// The problem's own words.
    pub(super) async fn send_text<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        text: String,
    ) -> Result<T, String> {
        read(&self.ask(method.word(), path, Sent::Text(text)).await?)
    }

    async fn ask(&self, method: &str, path: &str, sent: Sent) -> Result<Answer, String> {
        let question = Question {
            method,
            path,
            sent,
            by: self.by.as_deref(),
        };
        let answer = match &self.way {
            Way::Node(socket) => ask(socket, question).await?,
            Way::Here { face, user } => ask_here(face, user, question).await?,
        };
        match answer.problem() {
            None => Ok(answer),
            Some(words) => Err(words),
        }
    }
}

/// Root can use the data of the node's user, but what it makes there that user could not read.
fn belongs_to_us(data_dir: &Path) -> Result<(), String> {
    let Ok(data) = std::fs::metadata(data_dir) else {
        return Ok(());
    };
    let (owner, user) = (data.uid(), rustix::process::getuid().as_raw());
    if user != 0 || owner == user {
        return Ok(());
    }
    let (name, dir) = (user_name(owner), data_dir.display());
    Err(format!(
        "{dir} belongs to {name}, and root would leave files there that {name} cannot read; run this command as {name}"
    ))
}

async fn here(settings: &Settings, store: Store) -> Result<Way, String> {
    // Faults are told without detail; the detail goes where the node's log would go.
    crate::log::start("error");
    let parts = parts_beside(settings, store)
        .await
        .map_err(|error| error.to_string())?;
    Ok(Way::Here {
        face: face_beside(&parts).map_err(|error| error.to_string())?,
        user: user_name(rustix::process::getuid().as_raw()),
    })
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, String> {
    let body: &[u8] = match answer.body.is_empty() {
        true => b"null",
        false => &answer.body,
    };
    serde_json::from_slice(body).map_err(|error| {
        format!("the node's answer cannot be read, it may be of another version: {error}")
    })
}

/// `/api/v1/` and the segments; `query` stands after `?`.
pub(super) fn path(segments: &[&str], query: &[(&str, &str)]) -> String {
    let mut path = "/api/v1".to_owned();
    for segment in segments {
        path.push('/');
        push_encoded(&mut path, segment);
    }
    for (at, (name, value)) in query.iter().enumerate() {
        path.push(if at == 0 { '?' } else { '&' });
        push_encoded(&mut path, name);
        path.push('=');
        push_encoded(&mut path, value);
    }
    path
}

/// Percent-encodes everything but what is unreserved (RFC 3986 §2.3).
fn push_encoded(path: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(char::from(byte));
            }
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_hold_any_text() {
        assert_eq!(
            path(
                &["accounts", "a/b?ü@firma.test"],
                &[("scope", "group:x y"), ("days", "3")]
            ),
            "/api/v1/accounts/a%2Fb%3F%C3%BC%40firma.test?scope=group%3Ax%20y&days=3"
        );
    }
}
