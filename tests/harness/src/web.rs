//! A client for the pages and the API of a running server: one request per connection, over TLS with the demo's CA.
//! Blocking; follows nothing by itself.

use crate::{Lines, Server};
use serde_json::Value;

/// Largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The first field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }

    /// Asserts the status.
    ///
    /// # Panics
    /// Where it is another.
    #[track_caller]
    pub fn with(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// Who asks.
#[derive(Debug, Clone, Default)]
pub enum As {
    /// Nobody.
    #[default]
    Nobody,
    /// Somebody with a token.
    Token(String),
    /// A browser with a session; the second is what forms carry.
    Session(String, String),
}

/// Asks one server.
#[derive(Debug, Clone)]
pub struct Web<'s> {
    server: &'s Server,
    who: As,
}

impl<'s> Web<'s> {
    /// Asks as nobody.
    pub fn new(server: &'s Server) -> Self {
        Self {
            server,
            who: As::Nobody,
        }
    }

    /// Asks as the operator, with the demo's token.
    ///
    /// # Panics
    /// Where endpoints.json names none.
    pub fn operator(server: &'s Server) -> Self {
        let token = server.endpoints()["admin"]["token"].as_str();
        Self::token(server, token.expect("a token"))
    }

    /// Asks with a token.
    pub fn token(server: &'s Server, token: &str) -> Self {
        Self {
            server,
            who: As::Token(token.to_owned()),
        }
    }

    /// Logs an account in as a browser would.
    ///
    /// # Panics
    /// Where the login fails.
    pub fn log_in(server: &'s Server, name: &str) -> Self {
        let account = server.account(name);
        let body = serde_json::json!({ "user": account.address, "password": account.password });
        let answer = Self::new(server)
            .json("POST", "/api/v1/session", &body)
            .with(201);
        let cookie = answer.field("set-cookie").expect("a cookie");
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        let form = answer.json()["form_token"]
            .as_str()
            .expect("a token")
            .to_owned();
        Self {
            server,
            who: As::Session(cookie, form),
        }
    }

    /// GET.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// A request with JSON.
    pub fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        let kind = [("Content-Type", "application/json")];
        self.ask(method, path, &kind, &body.to_string())
    }

    /// What a form sends, with what shows that it is the page's own. `pairs` are encoded already.
    pub fn form(&self, path: &str, pairs: &str) -> Answer {
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        let body = match &self.who {
            As::Session(_, form) => format!("form_token={form}&{pairs}"),
            _ => pairs.to_owned(),
        };
        self.ask("POST", path, &kind, &body)
    }

    /// Any request.
    pub fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        let request = self.request(method, path, fields, body);
        let mut lines = Lines::tls(self.server.port("https"), &self.server.ca_file());
        lines.send(request.as_bytes());
        read(&mut lines)
    }

    /// Begins a stream of events; its lines are read one by one.
    pub fn events(&self, path: &str) -> Lines {
        let mut lines = Lines::tls(self.server.port("https"), &self.server.ca_file());
        lines.send(self.request("GET", path, &[], "").as_bytes());
        while !lines.line().is_empty() {}
        lines
    }

    fn request(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> String {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        match &self.who {
            As::Nobody => {}
            As::Token(token) => request.push_str(&format!("Authorization: Bearer {token}\r\n")),
            As::Session(cookie, form) => {
                request.push_str(&format!("Cookie: {cookie}\r\nX-Form-Token: {form}\r\n"));
            }
        }
        for (name, value) in fields {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        request
    }
}

/// A request in clear, to the port that only leads elsewhere.
pub fn in_clear(port: u16, path: &str) -> Answer {
    let mut lines = Lines::clear(port);
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: webmail.rp.test\r\nConnection: close\r\n\r\n");
    lines.send(request.as_bytes());
    read(&mut lines)
}

fn read(lines: &mut Lines) -> Answer {
    let first = lines.line();
    let status = first
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no answer but {first:?}"));
    let mut fields = Vec::new();
    loop {
        let line = lines.line();
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let body = lines.rest(ANSWER_BYTES_MAX);
    Answer {
        status,
        fields,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}
