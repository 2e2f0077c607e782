//! Runs every `commands/*.transcript`. Lines:
//! `AS anna` or `AS stranger` (first), `MAIL name` (a message of `FIXTURES` arrives), `C: ` (the client
//! sends a line), `S: ` (the server sends one), `#` comments. `C2:` and `S2:` are a second connection
//! (up to 4). `SET`, `TIME`, `SEEN`, `FOUND` and `EXPOSED` as `test_desk` says.
//! In `S:` lines `…` stands for anything. `UPDATE_EXPECT=1` writes down what the server says instead.

use super::rig::{ANNA, As, Client, Rig};
use std::path::{Path, PathBuf};
use std::time::Duration;

const FIXTURES: [(&str, &str); 3] = [
    (
        "simple",
        "From: Anna <anna@firma.test>\r\nTo: bernd@firma.test\r\nSubject: Hello\r\n\
      Date: Tue, 14 Nov 2023 22:13:20 +0100\r\nMessage-ID: <1@firma.test>\r\n\r\nHello Bernd.\r\n",
    ),
    (
        "invoice",
        "From: billing@shop.example\r\nTo: anna@firma.test\r\nSubject: =?utf-8?q?Rechnung_f=C3=BCr_M=C3=A4rz?=\r\n\
      Date: Wed, 1 Nov 2023 08:00:00 +0000\r\nContent-Type: text/plain; charset=utf-8\r\n\
      Content-Transfer-Encoding: quoted-printable\r\n\r\nBitte =C3=BCberweisen.\r\n",
    ),
    (
        "multipart",
        "From: a@x.example\r\nSubject: Two parts\r\nMIME-Version: 1.0\r\n\
      Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\nContent-Type: text/plain\r\n\r\none\r\n\
      --b\r\nContent-Type: application/octet-stream; name=\"x.bin\"\r\nContent-Transfer-Encoding: base64\r\n\
      Content-Disposition: attachment; filename=\"x.bin\"\r\n\r\nAAEC\r\n--b--\r\n",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transcripts() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/imap/commands");
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
        let said = run(&text).await;
        if bless {
            std::fs::write(&path, said.text).unwrap();
        } else {
            wrong.extend(
                said.wrong
                    .into_iter()
                    .map(|fault| format!("{name}:{fault}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

struct Said {
    /// The transcript with the server's lines as they were.
    text: String,
    wrong: Vec<String>,
}

async fn run(text: &str) -> Said {
    let rig = Rig::new().await;
    let as_whom = if text.lines().any(|line| line == "AS stranger") {
        As::Stranger
    } else {
        As::Anna
    };
    let mut clients: Vec<Client> = Vec::new();
    let mut said = Said {
        text: String::new(),
        wrong: Vec::new(),
    };
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let (which, sign, rest) = parse(line);
        while clients.len() < which {
            let mut client = rig.connect(as_whom).await;
            client.line().await;
            clients.push(client);
        }
        match sign {
            "C" => {
                clients[which - 1]
                    .send(format!("{rest}\r\n").as_bytes())
                    .await
            }
            "S" => {
                let got = match clients[which - 1].line_within(Duration::from_secs(3)).await {
                    Ok(Some(line)) => line,
                    Ok(None) => "(closed)".to_owned(),
                    Err(()) => "(silence)".to_owned(),
                };
                if fits(rest, &got) {
                    said.text.push_str(line);
                } else {
                    said.wrong
                        .push(format!("{number}: expected {rest:?}\n   but got {got:?}"));
                    said.text
                        .push_str(&format!("{}: {got}", line.split(':').next().unwrap_or("S")));
                }
                said.text.push('\n');
                continue;
            }
            _ => {
                if rig.desk.happen(line).await {
                    // It did.
                } else if let Some(told) = rig.desk.told(line, ANNA).await {
                    if told != line {
                        said.wrong
                            .push(format!("{number}: expected {line}\n   but got {told}"));
                    }
                    said.text.push_str(&format!("{told}\n"));
                    continue;
                } else if let Some(name) = line.strip_prefix("MAIL ") {
                    let fixture = FIXTURES.iter().find(|(known, _)| *known == name);
                    rig.mail(fixture.expect("a fixture of this name").1.as_bytes())
                        .await;
                }
            }
        }
        said.text.push_str(line);
        said.text.push('\n');
    }
    said
}

/// Which connection, who speaks, what.
fn parse(line: &str) -> (usize, &str, &str) {
    for (prefix, which, sign) in [
        ("C: ", 1, "C"),
        ("S: ", 1, "S"),
        ("C2: ", 2, "C"),
        ("S2: ", 2, "S"),
        ("C3: ", 3, "C"),
        ("S3: ", 3, "S"),
        ("C4: ", 4, "C"),
        ("S4: ", 4, "S"),
    ] {
        if let Some(rest) = line.strip_prefix(prefix) {
            return (which, sign, rest);
        }
        if line == prefix.trim_end() {
            return (which, sign, "");
        }
    }
    (0, "", line)
}

fn fits(pattern: &str, line: &str) -> bool {
    let mut pieces = pattern.split('…');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
        last = Some(piece);
    }
    rest.is_empty() || last.is_some_and(|last| last.is_empty() || line.ends_with(last))
}
