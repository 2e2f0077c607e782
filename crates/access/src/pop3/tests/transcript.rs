//! Runs every `commands/*.transcript`. Lines:
//! `POLICY keep|trash|remove` (first, where not `remove`), `CLEAR` (connections begin without TLS),
//! `MAIL name` (a message of `FIXTURES` arrives), `GONE uid` (another program removes it), `LOGIN` and
//! `LOGIN2` (USER and PASS), `HANDSHAKE` (TLS from here on), `DROP` (connection 1 ends without QUIT),
//! `COUNT mailbox n`, `C: ` (the client sends a line), `CC: ` (a line that goes with the next),
//! `S: ` (the server sends one), `#` comments. `C2:` and `S2:` are a second connection. `SET`, `TIME`, `SEEN`,
//! `FOUND` and `EXPOSED` as `test_desk` says.
//! In `S:` lines `…` stands for anything. `UPDATE_EXPECT=1` writes down what the server says instead.

use super::rig::{ANNA, Client, LOGIN, PASSWORD, Rig};
use directory::Pop3Delete;
use platform::net::Mode;
use std::path::{Path, PathBuf};

const FIXTURES: [(&str, &str); 5] = [
    ("simple", "Subject: simple\r\n\r\none\r\ntwo\r\n"),
    ("dots", "Subject: dots\r\n\r\n.\r\n..\r\n.one\r\n\r\n.last"),
    ("header", "Subject: no body\r\n"),
    ("empty", "Subject: empty body\r\n\r\n"),
    ("bare", "Subject: bare\n\none\n.two\n"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transcripts() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pop3/commands");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "transcript"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    let bless = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let said = Play::of(&text).await.run(&text).await;
        if bless {
            std::fs::write(&path, said.text).unwrap();
        }
        wrong.extend(said.wrong.iter().map(|fault| format!("{name}:{fault}")));
    }
    assert!(bless || wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the server said.
#[derive(Default)]
struct Said {
    /// The transcript with the server's lines as they were.
    text: String,
    wrong: Vec<String>,
}

struct Play {
    rig: Rig,
    mode: Mode,
    clients: [Option<Client>; 2],
    /// Lines that go with the next one.
    held: String,
}

impl Play {
    async fn of(text: &str) -> Self {
        let policy = match text.lines().find_map(|line| line.strip_prefix("POLICY ")) {
            Some("keep") => Pop3Delete::Keep,
            Some("trash") => Pop3Delete::Trash,
            _ => Pop3Delete::Remove,
        };
        let clear = text.lines().any(|line| line == "CLEAR");
        Self {
            rig: Rig::new(policy).await,
            mode: if clear {
                Mode::StartTls
            } else {
                Mode::ImplicitTls
            },
            clients: [None, None],
            held: String::new(),
        }
    }

    async fn client(&mut self, which: usize) -> &mut Client {
        if self.clients[which].is_none() {
            let mut client = self.rig.connect(self.mode).await;
            let greeting = client.line().await;
            assert_eq!(greeting, "+OK pop3.example POP3 server ready");
            self.clients[which] = Some(client);
        }
        self.clients[which].as_mut().unwrap()
    }

    async fn run(mut self, text: &str) -> Said {
        let mut said = Said::default();
        for (index, line) in text.lines().enumerate() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let which = usize::from(word.contains('2'));
            let got = match word {
                "C:" | "C2:" => {
                    let lines = format!("{}{rest}\r\n", std::mem::take(&mut self.held));
                    self.client(which).await.send(lines.as_bytes()).await;
                    None
                }
                "CC:" => {
                    self.held.push_str(&format!("{rest}\r\n"));
                    None
                }
                "S:" | "S2:" => Some(self.client(which).await.line().await),
                "COUNT" => {
                    let name = rest.split(' ').next().unwrap_or_default();
                    Some(format!("{name} {}", self.rig.count(name).await))
                }
                _ if self.rig.desk.happen(line).await => None,
                _ => match self.rig.desk.told(line, ANNA).await {
                    Some(told) if told == line => None,
                    Some(told) => {
                        said.wrong
                            .push(format!("{}: expected {line}\n   but got {told}", index + 1));
                        None
                    }
                    None => {
                        self.happen(word, rest, which).await;
                        None
                    }
                },
            };
            match got {
                Some(got) if !fits(rest, &got) => {
                    let number = index + 1;
                    said.wrong
                        .push(format!("{number}: expected {rest:?}\n   but got {got:?}"));
                    said.text.push_str(&format!("{word} {got}\n"));
                }
                _ => said.text.push_str(&format!("{line}\n")),
            }
        }
        said
    }

    async fn happen(&mut self, word: &str, rest: &str, which: usize) {
        match word {
            "MAIL" => {
                let fixture = FIXTURES.iter().find(|(known, _)| *known == rest);
                let text = fixture.expect("a fixture of this name").1;
                self.rig.mail(text.as_bytes()).await;
            }
            "GONE" => self.rig.expunge(rest.parse().unwrap()).await,
            "LOGIN" | "LOGIN2" => {
                let client = self.client(which).await;
                client.ask(&format!("USER {LOGIN}")).await;
                let welcome = client.ask(&format!("PASS {PASSWORD}")).await;
                assert!(welcome.starts_with("+OK"), "{welcome}");
            }
            "HANDSHAKE" => self.client(which).await.start_tls().await,
            "DROP" => {
                self.clients[0] = None;
                // The server has to notice before the maildrop is free again.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            "POLICY" | "CLEAR" | "" | "#" => {}
            _ => panic!("what is {word}?"),
        }
    }
}

fn fits(pattern: &str, line: &str) -> bool {
    let mut pieces = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(pieces.next().unwrap_or_default()) else {
        return false;
    };
    let mut ends = rest.is_empty();
    for piece in pieces {
        let Some(at) = rest.rfind(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
        ends = piece.is_empty() || rest.is_empty();
    }
    ends
}
