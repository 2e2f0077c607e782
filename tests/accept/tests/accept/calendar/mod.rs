//! Eight customers with their mail programs, for the announced calendars of two providers: who can do what at a
//! date, and who got which letter. The calendars themselves are `variomedia` and `mailbox`.

mod mailbox;
mod variomedia;

use harness::Lab;
use harness::customer::{Customer, Newest, Program, Protocol, Security, Visit};
use serde_json::Value;
use std::collections::BTreeSet;

/// How a customer reads mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// By IMAP.
    Imap,
    /// By POP3.
    Pop3,
    /// Not at all: a device or a website.
    Never,
}

/// Which hosts a customer's program is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hosts {
    /// imap., pop3., smtp.
    Normal,
    /// imap-legacy. and its kin.
    Legacy,
}

/// A customer: an account, a program, its settings of the day.
#[derive(Debug, Clone)]
struct Person {
    /// The address without its domain.
    name: &'static str,
    customer: Customer,
    reads: Reads,
    sends: Sends,
    hosts: Hosts,
}

/// Whether a customer sends mail, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sends {
    Yes,
    No,
}

const PLAIN: Program = Program {
    imap_id: None,
    hello: "pc.test",
    mailer: None,
    security: Security::Tls,
    newest: Newest::Tls13,
};

/// The eight: name, reads, sends, program.
const PEOPLE: [(&str, Reads, Sends, Program); 8] = [
    (
        "thea",
        Reads::Imap,
        Sends::Yes,
        Program {
            imap_id: Some(["Thunderbird", "128.5.0", "Windows"]),
            mailer: Some("Mozilla Thunderbird"),
            ..PLAIN
        },
    ),
    (
        "mia",
        Reads::Imap,
        Sends::Yes,
        Program {
            imap_id: Some(["Mac OS X Mail", "16.0", "Mac OS X"]),
            security: Security::StartTls,
            newest: Newest::Tls12,
            ..PLAIN
        },
    ),
    (
        "otto",
        Reads::Imap,
        Sends::Yes,
        Program {
            mailer: Some("Microsoft Outlook 14.0"),
            security: Security::StartTls,
            newest: Newest::Tls10,
            ..PLAIN
        },
    ),
    (
        "olga",
        Reads::Imap,
        Sends::Yes,
        Program {
            mailer: Some("Microsoft Outlook 16.0"),
            security: Security::Clear,
            newest: Newest::Tls12,
            ..PLAIN
        },
    ),
    (
        "paul",
        Reads::Never,
        Sends::Yes,
        Program {
            hello: "BRW0123456789AB",
            mailer: Some("Brother MFC-9340CDW"),
            security: Security::Clear,
            newest: Newest::Tls10,
            ..PLAIN
        },
    ),
    (
        "wera",
        Reads::Never,
        Sends::Yes,
        Program {
            mailer: Some("PHPMailer 5.2.22 (https://github.com/PHPMailer/PHPMailer)"),
            security: Security::Clear,
            newest: Newest::Tls12,
            ..PLAIN
        },
    ),
    (
        "ida",
        Reads::Pop3,
        Sends::No,
        Program {
            security: Security::Tls,
            newest: Newest::Tls10,
            ..PLAIN
        },
    ),
    (
        "hans",
        Reads::Imap,
        Sends::Yes,
        Program {
            mailer: Some("Microsoft Outlook 14.0"),
            security: Security::StartTls,
            newest: Newest::Tls11,
            ..PLAIN
        },
    ),
];

/// Makes the accounts at `firma.test`.
fn people(lab: &Lab) -> Vec<Person> {
    let person = |(name, reads, sends, program)| {
        let user = format!("{name}@firma.test");
        let made = lab.cli(&["account", "add", &user, "--json"]);
        let made: Value = serde_json::from_str(&made).expect("JSON");
        let password = made["password"].as_str().expect("a password").to_owned();
        Person {
            name,
            customer: Customer {
                program,
                user,
                password,
            },
            reads,
            sends,
            hosts: Hosts::Normal,
        }
    };
    PEOPLE.into_iter().map(person).collect()
}

impl Person {
    /// A day with the program: reads where it does, sends where it does. The first visit that fails, or the last.
    fn day(&self, lab: &Lab) -> Visit {
        let mut last = None;
        if self.reads != Reads::Never {
            last = Some(self.read(lab));
        }
        match last {
            Some(visit) if !visit.ok => visit,
            _ if self.sends == Sends::Yes => self.send(lab),
            Some(visit) => visit,
            None => unreachable!("everybody reads or sends"),
        }
    }

    fn read(&self, lab: &Lab) -> Visit {
        match self.reads {
            Reads::Imap => self.visit(lab, Protocol::Imap, "imap", "imaps"),
            Reads::Pop3 => self.visit(lab, Protocol::Pop3, "pop3", "pop3s"),
            Reads::Never => unreachable!("asked for"),
        }
    }

    fn send(&self, lab: &Lab) -> Visit {
        match self.hosts {
            Hosts::Normal => self.visit(lab, Protocol::Smtp, "submission", "submissions"),
            Hosts::Legacy => self.visit(lab, Protocol::Smtp, "smtp", "submissions"),
        }
    }

    fn visit(&self, lab: &Lab, protocol: Protocol, clear: &str, implicit: &str) -> Visit {
        let port = match self.customer.program.security {
            Security::Tls => implicit,
            Security::Clear | Security::StartTls => clear,
        };
        let (host, port) = match self.hosts {
            Hosts::Normal => ("127.0.0.1".to_owned(), lab.server.port(port)),
            Hosts::Legacy => {
                let port = lab.server.port(&format!("{port}_legacy"));
                (lab.server.legacy_host(), port)
            }
        };
        self.customer
            .visit(protocol, &host, port, "carla@privat.test")
    }

    /// Follows the guide: keeps the port, switches STARTTLS on, with a program that can.
    fn mends(&mut self) {
        self.hosts = Hosts::Normal;
        self.customer.program.newest = Newest::Tls12;
        if self.customer.program.security == Security::Clear {
            self.customer.program.security = Security::StartTls;
        }
    }
}

fn named<'p>(people: &'p mut [Person], name: &str) -> &'p mut Person {
    let found = people.iter_mut().find(|person| person.name == name);
    found.expect("one of the eight")
}

/// A working day of those that are there. Gives who was refused.
fn day(lab: &Lab, people: &[Person], away: &[&str]) -> BTreeSet<&'static str> {
    let there = people.iter().filter(|person| !away.contains(&person.name));
    there
        .filter(|person| !person.day(lab).ok)
        .map(|person| person.name)
        .collect()
}

/// Whom changes would lock out, by the preview of each, together.
fn previewed(lab: &Lab, changes: &[&str], since: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for change in changes {
        let shown = lab.cli(&["impact", change, "--since", since, "--json"]);
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        let accounts = shown["accounts"].as_array().expect("a list");
        for account in accounts {
            let login = account["account"].as_str().expect("an address");
            names.insert(login.split('@').next().expect("a name").to_owned());
        }
    }
    names
}

/// Waits until exactly these letters of a round were written; each `kind name`.
fn letters(lab: &Lab, slug: &str, round: i64, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
    lab.wait(&format!("round {round}"), || {
        let written = written(lab, slug, round);
        match written == expected {
            true => Ok(()),
            false => Err(format!("round {round}: {written:?}, not {expected:?}")),
        }
    });
}

fn written(lab: &Lab, slug: &str, round: i64) -> BTreeSet<String> {
    let round = round.to_string();
    let shown = lab.cli(&["rollout", "letters", slug, "--round", &round, "--json"]);
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let all = shown.as_array().expect("a list").iter();
    all.map(|letter| {
        let to = letter["to"].as_str().expect("an address");
        let kind = letter["kind"].as_str().expect("a word");
        format!("{kind} {}", to.split('@').next().expect("a name"))
    })
    .collect()
}

/// Writes a rollout's file, keeps it, announces and starts it.
fn start_rollout(lab: &Lab, slug: &str, text: &str) {
    let file = lab.server.dir().join(format!("{slug}.toml"));
    std::fs::write(&file, text).expect("a file");
    let file = file.display().to_string();
    lab.cli(&["rollout", "create", &file, "--by", "nora"]);
    lab.cli(&["rollout", "announce", slug, "--by", "nora"]);
    lab.cli(&["rollout", "start", slug, "--by", "nora"]);
}

/// What the newest letter to somebody says, by the words it must hold.
fn reads_letter(lab: &Lab, person: &Person, words: &[&str]) {
    let mut customer = person.customer.clone();
    customer.program = PLAIN;
    lab.wait("a letter", || {
        let all = lab.inbox_of(&customer.user, &customer.password);
        let all: Vec<String> = all.iter().map(|text| readable(text)).collect();
        let holds = |text: &String| words.iter().all(|word| text.contains(word));
        match all.iter().any(holds) {
            true => Ok(()),
            false => Err(format!("{words:?} in none of:\n{}", all.join("\n---\n"))),
        }
    });
}

/// A message with its quoted-printable decoded and its lines joined, so that words are found wherever they break.
fn readable(message: &str) -> String {
    let joined = message.replace("=\r\n", "").replace("=\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'=').then(|| after.get(..2)).flatten();
        let code =
            code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn set(names: &[&'static str]) -> BTreeSet<&'static str> {
    names.iter().copied().collect()
}

fn owned(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}
