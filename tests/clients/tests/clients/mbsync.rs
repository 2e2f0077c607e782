//! mbsync (isync, Cyrus SASL with SCRAM): a Maildir that is pulled, changed on both sides, and pushed.

use clients::{Run, no_panic, run};
use harness::{Account, Lines, Server, deliver};
use std::path::{Path, PathBuf};
use std::process::Command;

struct Sync {
    server: Server,
    anna: Account,
    maildir: PathBuf,
    settings: PathBuf,
}

impl Sync {
    fn new() -> Self {
        let server = Server::start();
        let anna = server.account("anna");
        let maildir = server.dir().join("mail");
        std::fs::create_dir(&maildir).expect("a folder");
        let settings = server.dir().join("mbsyncrc");
        let text = format!(
            "IMAPAccount demo\nHost localhost\nPort {}\nUser {}\nPass {}\nSSLType IMAPS\nAuthMechs SCRAM-SHA-256\n\
             CertificateFile {}\n\nIMAPStore far\nAccount demo\n\nMaildirStore near\nPath {m}/\n\
             Inbox {m}/INBOX\nSubFolders Verbatim\n\nChannel anna\nFar :far:\nNear :near:\n\
             Patterns *\nCreate Both\nExpunge Both\nSyncState *\n",
            server.port("imaps"),
            anna.address,
            anna.password,
            server.ca_file().display(),
            m = maildir.display(),
        );
        std::fs::write(&settings, text).expect("a file");
        Self {
            server,
            anna,
            maildir,
            settings,
        }
    }

    fn run(&self) -> Run {
        let mut command = Command::new("mbsync");
        command.arg("-c").arg(&self.settings).arg("anna");
        run(&mut command, b"").good()
    }

    fn imap(&self) -> Lines {
        let mut imap = Lines::tls(self.server.port("imaps"), &self.server.ca_file());
        imap.line();
        imap.imap_ask(
            "login",
            &format!("LOGIN {} {}", self.anna.address, self.anna.password),
        );
        imap.imap_ask("select", "SELECT INBOX");
        imap
    }

    /// The messages of a folder, sorted; names change with flags.
    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for kind in ["cur", "new"] {
            let dir = self.maildir.join(folder).join(kind);
            let entries = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{dir:?}: {e}"));
            files.extend(entries.flatten().map(|entry| entry.path()));
        }
        files.sort();
        files
    }

    fn file_with(&self, folder: &str, text: &str) -> PathBuf {
        let mut files = self.files(folder).into_iter();
        files
            .find(|path| std::fs::read_to_string(path).is_ok_and(|content| content.contains(text)))
            .unwrap_or_else(|| panic!("no message with {text:?} in {folder}"))
    }
}

/// Moves a message to `cur` with these flags, as a mail program would.
fn set_flags(path: &Path, flags: &str) {
    let name = path
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let base = name.split(":2,").next().unwrap_or_default().to_owned();
    let folder = path
        .parent()
        .and_then(Path::parent)
        .expect("a folder")
        .join("cur");
    std::fs::rename(path, folder.join(format!("{base}:2,{flags}"))).expect("a rename");
}

fn letter(number: usize) -> String {
    format!(
        "From: you@example.org\r\nSubject: letter {number}\r\nMessage-ID: <{number}@example.org>\r\n\r\ntext {number}\r\n"
    )
}

#[test]
fn a_maildir_stays_in_step() {
    let sync = Sync::new();
    for number in 1..=20 {
        deliver(
            sync.server.port("smtp"),
            "you@example.org",
            &sync.anna.address,
            &letter(number),
        );
    }
    sync.run();
    assert_eq!(sync.files("INBOX").len(), 20);
    for folder in ["Archive", "Drafts", "Junk", "Sent", "Trash"] {
        assert!(sync.files(folder).is_empty(), "{folder}");
    }
    let content = std::fs::read_to_string(sync.file_with("INBOX", "letter 7\n")).expect("a file");
    assert!(content.ends_with("\n\ntext 7\n"), "{content}");

    // Nothing has changed: nothing is pulled, no file is touched.
    let before = sync.files("INBOX");
    sync.run();
    assert_eq!(sync.files("INBOX"), before);

    near_to_far(&sync);
    far_to_near(&sync);
    no_panic(&sync.server);
}

/// A flag, a removal, a new message and a new folder made locally are seen by IMAP.
fn near_to_far(sync: &Sync) {
    set_flags(&sync.file_with("INBOX", "letter 3\n"), "FS");
    set_flags(&sync.file_with("INBOX", "letter 4\n"), "T");
    let draft = sync.maildir.join("Drafts/new/1.local");
    std::fs::write(draft, "Subject: made here\n\nlocal\n").expect("a file");
    for kind in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(sync.maildir.join("Projects").join(kind)).expect("a folder");
    }
    std::fs::write(
        sync.maildir.join("Projects/cur/2.local:2,S"),
        "Subject: filed\n\nx\n",
    )
    .expect("a file");
    sync.run();
    let mut imap = sync.imap();
    let flagged = imap.imap_ask("a", "SEARCH FLAGGED SEEN SUBJECT \"letter 3\"");
    assert!(flagged.starts_with("* SEARCH 3\n"), "{flagged}");
    let gone = imap.imap_ask("b", "SEARCH SUBJECT \"letter 4\"");
    assert!(gone.starts_with("* SEARCH\n"), "{gone}");
    let drafts = imap.imap_ask("c", "SELECT Drafts");
    assert!(drafts.contains("* 1 EXISTS"), "{drafts}");
    let text = imap.imap_ask("d", "FETCH 1 (BODY.PEEK[TEXT])");
    assert!(text.contains("{7}\nlocal\r\n"), "{text}");
    let projects = imap.imap_ask("e", "STATUS Projects (MESSAGES UNSEEN)");
    assert!(projects.contains("(MESSAGES 1 UNSEEN 0)"), "{projects}");
    assert_eq!(sync.files("INBOX").len(), 19);
}

/// Flags, a removal and a new message on the server reach the Maildir.
fn far_to_near(sync: &Sync) {
    let mut imap = sync.imap();
    imap.imap_ask("a", "STORE 1 +FLAGS.SILENT (\\Answered \\Seen)");
    imap.imap_ask("b", "STORE 2 +FLAGS.SILENT (\\Deleted)");
    imap.imap_ask("c", "EXPUNGE");
    deliver(
        sync.server.port("smtp"),
        "you@example.org",
        &sync.anna.address,
        &letter(21),
    );
    sync.run();
    let first = sync.file_with("INBOX", "letter 1\n");
    assert!(first.to_string_lossy().ends_with(":2,RS"), "{first:?}");
    sync.file_with("INBOX", "letter 21\n");
    let second = |path: &PathBuf| {
        std::fs::read_to_string(path).is_ok_and(|content| content.contains("letter 2\n"))
    };
    assert!(!sync.files("INBOX").iter().any(second));
    assert_eq!(sync.files("INBOX").len(), 19);
}
