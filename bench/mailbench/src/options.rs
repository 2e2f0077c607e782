//! The command line: `mailbench SCENARIO [--name value]... [--flag]...`. Knows every option of every
//! scenario, so that a typing mistake is seen; it is warned about and ignored, because scripts pass
//! the same set to several scenarios. Called by `main` once; scenarios ask by name.

use std::collections::BTreeMap;

/// Every option with what it means. A default stands where the option is asked for.
pub(crate) const OPTIONS: &[(&str, &str)] = &[
    ("label", "name of this measurement in the output"),
    (
        "limit-s",
        "seconds after which the run counts as failed (600)",
    ),
    ("smtp", "HOST:PORT of the SMTP server (127.0.0.1:25)"),
    ("imap", "HOST:PORT of the IMAP server (127.0.0.1:993)"),
    ("pop3", "HOST:PORT of the POP3 server (127.0.0.1:995)"),
    ("tls", "SMTP: none, starttls or implicit (none)"),
    ("imaptls", "IMAP and POP3: implicit or none (implicit)"),
    ("tls12", "offer TLS 1.2 only; without it TLS 1.3 only"),
    ("resume", "keep TLS tickets and resume sessions"),
    ("domain", "domain of the accounts (bench.test)"),
    ("pw", "password of the accounts"),
    ("users", "number of accounts used (16)"),
    ("user-base", "number of the first account (0)"),
    ("user", "one account: its address; for visible its number"),
    ("conns", "sessions at the same time"),
    ("count", "operations in all"),
    ("size", "bytes of a message (4096)"),
    (
        "per-conn",
        "messages per connection, then a new one (smtp: 0 = no end)",
    ),
    (
        "no-visible",
        "smtp-in: do not wait until the mail is seen in IMAP",
    ),
    (
        "vismbox",
        "smtp-in: mailbox in which the mail turns up (MB_VISMBOX or INBOX)",
    ),
    ("drain-limit", "seconds to wait after the last reply"),
    ("poll-ms", "smtp-in: pause between two STATUS (40)"),
    (
        "sink",
        "submit: HOST:PORT at which relayed mail is taken (127.0.0.1:2525)",
    ),
    (
        "dead",
        "submit: messages that wait for a destination that never answers (0)",
    ),
    (
        "hole",
        "submit: HOST:PORT of that destination (127.0.0.1:2526)",
    ),
    ("rcpt-domains", "submit: number of recipient domains (1)"),
    ("gap-ms", "visible: pause between two messages (60)"),
    ("no-poll", "visible: measure IDLE only"),
    ("mbox", "mailbox of append and imap-cmd (INBOX)"),
    ("multi", "append: messages per APPEND command (1)"),
    (
        "cmd",
        "imap-cmd: the command; NEEDLE stands for a word in every 1000th message",
    ),
    ("reps", "imap-cmd: how often (1)"),
    ("fresh", "imap-cmd: a new connection for each"),
    ("no-select", "imap-cmd: select nothing before"),
    ("ramp", "idle: logins at the same time (8)"),
    (
        "hold",
        "idle: seconds of silence in which idle CPU is measured (10)",
    ),
    ("push", "idle: accounts that get a message at the end (30)"),
    ("listen", "dns: HOST:PORT (127.0.0.1:53)"),
    (
        "sink-ip",
        "dns: address of names that begin with sink (0.0.0.0)",
    ),
    ("dir", "fsync: folder (fsync-probe)"),
    (
        "kind",
        "fsync: append, overwrite, newfile or maildir (append)",
    ),
    ("threads", "fsync: writers (1)"),
];

/// What the command line says, by option name.
pub(crate) struct Options {
    given: BTreeMap<String, String>,
}

impl Options {
    /// Reads the words behind the scenario's name. An option without a value counts as `1`.
    pub(crate) fn read(words: &[String]) -> Options {
        let mut given = BTreeMap::new();
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            let name = word.trim_start_matches("--").to_owned();
            if !known(&name) {
                eprintln!("mailbench: there is no option --{name}; it is ignored");
            }
            let value = words.next_if(|next| !next.starts_with("--"));
            given.insert(name, value.map_or("1", String::as_str).to_owned());
        }
        Options { given }
    }

    /// The option's text.
    pub(crate) fn text(&self, name: &str, default: &str) -> String {
        self.get(name).unwrap_or(default).to_owned()
    }

    /// The option's text if it was given and is not empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|text| !text.is_empty())
    }

    /// The option's number. Ends the program with a message if it is none.
    pub(crate) fn number(&self, name: &str, default: usize) -> usize {
        let Some(text) = self.get(name) else {
            return default;
        };
        text.parse().unwrap_or_else(|_| {
            eprintln!("mailbench: --{name} takes a whole number, not \"{text}\"");
            std::process::exit(2)
        })
    }

    /// Whether the flag is set; `0` and `no` unset it.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|text| text != "0" && text != "no")
    }

    /// All options but the label as `name=value`, sorted: tells later how a figure came about.
    pub(crate) fn summary(&self) -> String {
        let given = self.given.iter().filter(|(name, _)| *name != "label");
        let words: Vec<String> = given
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        words.join(" ")
    }

    fn get(&self, name: &str) -> Option<&str> {
        debug_assert!(known(name), "--{name} is missing in OPTIONS");
        self.given.get(name).map(String::as_str)
    }
}

fn known(name: &str) -> bool {
    OPTIONS.iter().any(|(option, _)| *option == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_flags_are_told_apart() {
        let words = [
            "--conns",
            "16",
            "--fresh",
            "--cmd",
            "FETCH 1:* (FLAGS)",
            "--resume",
            "no",
        ];
        let options = Options::read(&words.map(str::to_owned));
        assert_eq!(options.number("conns", 1), 16);
        assert_eq!(options.number("count", 7), 7);
        assert!(options.flag("fresh") && !options.flag("resume"));
        assert_eq!(options.text("cmd", ""), "FETCH 1:* (FLAGS)");
        assert_eq!(
            options.summary(),
            "cmd=FETCH 1:* (FLAGS) conns=16 fresh=1 resume=no"
        );
    }
}
