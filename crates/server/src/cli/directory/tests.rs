//! The verbs as they are typed, on a real store.

use super::*;
use crate::settings;
use clap::Parser;
use platform::clock::Clock;

#[derive(Parser)]
struct Typed {
    #[command(subcommand)]
    verb: Verb,
}

struct Terminal {
    api: AdminApi,
    _files: tempfile::TempDir,
}

impl Terminal {
    /// At the API of this process, over a data directory in which nothing is yet.
    async fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let dir = files.path().join("data");
        let text = format!(
            "[node]\nhost_name = \"mx.rp.test\"\ndata_dir = \"{0}\"\n[tls]\ncertificate_dir = \"{0}\"\n",
            dir.display()
        );
        let file = files.path().join("rohrpost.toml");
        std::fs::write(&file, text).unwrap();
        let settings = settings::load(&file).unwrap();
        Self {
            api: AdminApi::open_or_create(&settings).await.unwrap(),
            _files: files,
        }
    }

    async fn with_input(&self, line: &str, mut input: &[u8]) -> Result<String, String> {
        let words =
            std::iter::once("rohrpost").chain(line.split(' ').map(|word| word.trim_matches('"')));
        let typed = Typed::try_parse_from(words).map_err(|error| error.to_string())?;
        let mut desk = Desk {
            api: &self.api,
            input: &mut input,
        };
        run(&typed.verb, &mut desk).await
    }

    async fn ok(&self, line: &str) -> String {
        self.with_input(line, b"")
            .await
            .unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    async fn refused(&self, line: &str) -> String {
        self.with_input(line, b"").await.unwrap_err()
    }
}

#[tokio::test]
async fn a_provider_is_made_word_by_word() {
    let terminal = Terminal::new().await;
    assert_eq!(
        terminal
            .ok("group add business --description Contract")
            .await,
        "Group business is added.\n"
    );
    assert_eq!(
        terminal.ok("domain add BÜCHER.test --group business").await,
        "Domain xn--bcher-kva.test is added.\n"
    );
    let added = terminal
        .with_input(
            "account add anna@bücher.test --password-stdin",
            b"annas wort\n",
        )
        .await
        .unwrap();
    assert_eq!(added, "Account anna@xn--bcher-kva.test is added.\n");
    let generated = terminal.ok("account add bernd@bücher.test").await;
    assert!(
        generated.contains("Its password, shown only now: "),
        "{generated}"
    );
    assert_eq!(
        terminal
            .ok("alias add info@bücher.test anna@bücher.test x@else.example")
            .await,
        "Alias info@xn--bcher-kva.test is added and leads to anna@xn--bcher-kva.test, x@else.example.\n"
    );
    assert_eq!(
        terminal
            .ok("domain set bücher.test --catch-all anna@bücher.test")
            .await,
        "Domain xn--bcher-kva.test changes its catch-all from nothing to anna@xn--bcher-kva.test.\n"
    );
    assert_eq!(
        terminal.ok("domain list").await,
        "DOMAIN       STATUS  GROUP     ACCOUNTS  ALIASES\nbücher.test  active  business  2         1\n"
    );
    assert_eq!(
        terminal.ok("alias list").await,
        "ALIAS                    LEADS TO\ninfo@xn--bcher-kva.test  anna@xn--bcher-kva.test, x@else.example\n"
    );
    let shown = terminal.ok("account show anna@bücher.test").await;
    assert!(
        shown.contains("password:   ARGON2ID\n")
            && shown.contains("aliases:    info@xn--bcher-kva.test\n"),
        "{shown}"
    );
    assert!(
        terminal
            .ok("app-password add anna@bücher.test phone")
            .await
            .contains("shown only now")
    );
    let today = Clock::system().now();
    let today = output::date(&formats::rfc3339::format(today.0));
    assert_eq!(
        terminal.ok("app-password list anna@bücher.test").await,
        format!("LABEL  CREATED     LAST USED  LIMITED TO\nphone  {today}  -          -\n")
    );
    assert_eq!(
        terminal
            .ok("account set anna@bücher.test --pop3-delete remove")
            .await,
        "Nothing changes.\n"
    );
}

#[tokio::test]
async fn json_is_for_programs() {
    let terminal = Terminal::new().await;
    terminal.ok("domain add firma.test").await;
    let json = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    let made = json(terminal.ok("account add anna@firma.test --json").await);
    assert_eq!(made["login"], "anna@firma.test");
    assert!(made["password"].as_str().unwrap().len() > 16);
    assert_eq!(
        json(terminal.ok("account list --domain firma.test --json").await)[0]["scram"],
        true
    );
    assert_eq!(
        json(terminal.ok("domain show firma.test --json").await)["accounts"],
        1
    );
    let changes = json(
        terminal
            .ok("account set anna@firma.test --status suspended --json")
            .await,
    );
    assert_eq!(
        changes["changes"][0],
        "account anna@firma.test is now suspended"
    );
    assert_eq!(
        json(terminal.ok("alias list --json").await),
        serde_json::json!([])
    );
    assert_eq!(
        json(terminal.ok("group list --json").await),
        serde_json::json!([])
    );
}

#[tokio::test]
async fn what_cannot_be_done_is_said_with_the_way_out() {
    let terminal = Terminal::new().await;
    terminal.ok("domain add firma.test").await;
    terminal.ok("account add anna@firma.test").await;
    assert!(
        terminal
            .refused("domain remove firma.test")
            .await
            .contains("still has 1 accounts; remove them first or use --with-accounts")
    );
    assert!(
        terminal
            .refused("account add anna@else.test")
            .await
            .contains("domain else.test does not exist")
    );
    assert!(
        terminal
            .refused("account add anna")
            .await
            .contains("an example is anna@firma.example")
    );
    assert!(
        terminal
            .refused("account password anna@firma.test --password-stdin")
            .await
            .contains("no password in its first line")
    );
    assert!(
        terminal
            .refused("account add b@firma.test --no-password --password-stdin")
            .await
            .contains("cannot be used with")
    );
    assert!(
        terminal
            .refused("account add b@firma.test --password-hash {PLAIN}x")
            .await
            .contains("{ARGON2ID}")
    );
    assert!(
        terminal
            .refused("account add b@firma.test --password geheim")
            .await
            .contains("unexpected argument '--password'")
    );
    assert_eq!(
        terminal
            .ok("domain remove firma.test --with-accounts")
            .await,
        "Account anna@firma.test is removed with all its mail.\nDomain firma.test is removed.\n"
    );
}

#[tokio::test]
async fn a_state_goes_out_and_comes_in_again() {
    let terminal = Terminal::new().await;
    terminal.ok("domain add firma.test").await;
    terminal.ok("account add anna@firma.test").await;
    let export = terminal.ok("export").await;
    assert_eq!(
        terminal
            .with_input("plan -", export.as_bytes())
            .await
            .unwrap(),
        "Nothing changes.\n"
    );
    let other = Terminal::new().await;
    let expected = "Domain firma.test is added.\nAccount anna@firma.test is added.\n";
    assert_eq!(
        other.with_input("plan -", export.as_bytes()).await.unwrap(),
        expected
    );
    assert_eq!(
        other
            .with_input("apply -", export.as_bytes())
            .await
            .unwrap(),
        expected
    );
    assert_eq!(other.ok("export").await, export);
    assert!(
        other
            .with_input("apply -", b"")
            .await
            .unwrap_err()
            .contains("use --remove-accounts")
    );
    assert!(
        other
            .refused("apply /no/such/file")
            .await
            .contains("cannot be read")
    );
    let emptied = other
        .with_input("apply - --remove-accounts", b"")
        .await
        .unwrap();
    assert_eq!(
        emptied,
        "Account anna@firma.test is removed with all its mail.\nDomain firma.test is removed.\n"
    );
}
