//! S3-62: rules by the command line, versioned, tried on a message. S3-63: no conditions means always, and says
//! so. S3-64: ALL and ANY, nested. S3-65: order matters, the linter warns when it is swapped, and the trial tells which
//! rule decided and why.

use harness::Lab;

const SECURE: &str = r#"
name = "secure"
at = ["rcpt"]
when.all = [
    { fact = "tls", value = false },
    { any = [
        { fact = "recipient-domain", value = "firma.test" },
        { not = { fact = "client", op = "in-network", value = ["127.0.0.0/8", "10.0.0.0/8"] } },
    ] },
]
then = [{ do = "reject", status = "7.10", text = "Accepting only secure delivery (STARTTLS) for firma.test" }]
"#;

fn file(lab: &Lab, name: &str, text: &str) -> String {
    let path = lab.config().with_file_name(name);
    std::fs::write(&path, text).expect("write a file");
    path.display().to_string()
}

#[test]
fn rules_are_made_changed_moved_tried_and_taken_back() {
    let lab = Lab::start();
    let secure = file(&lab, "secure.toml", SECURE);
    let added = lab.cli(&["rules", "add", &secure, "--reason", "ticket 17"]);
    assert!(
        added.contains("+ secure") && added.contains("Version 1 holds"),
        "{added}"
    );
    let all = file(
        &lab,
        "all.json",
        r#"{"name":"everything","at":["data"],"then":[{"do":"tag","word":"seen"}]}"#,
    );
    lab.cli(&["rules", "add", &all, "--first"]);
    let list = lab.cli(&["rules", "list"]);
    let lines: Vec<_> = list.lines().collect();
    assert!(
        lines[1].contains("everything") && lines[1].contains("always"),
        "{list}"
    );
    let german = lab.cli(&["rules", "list", "--lang", "de"]);
    assert!(german.contains("immer"), "{german}");
    // The API and the web form speak this JSON.
    let json: serde_json::Value =
        serde_json::from_str(&lab.cli(&["rules", "list", "--json"])).expect("JSON");
    assert_eq!(json["rules"][1]["when"]["all"][0]["fact"], "tls");

    lab.cli(&["rules", "move", "secure", "--before", "everything"]);
    lab.cli(&[
        "rules",
        "set",
        "secure",
        "--note",
        "asked for by the customer",
    ]);
    let shown = lab.cli(&["rules", "show", "secure"]);
    assert!(shown.contains("asked for by the customer"), "{shown}");
}

#[test]
fn a_trial_tells_which_rule_decides_and_why() {
    let lab = Lab::start();
    let secure = file(&lab, "secure.toml", SECURE);
    lab.cli(&["rules", "add", &secure]);
    let mail = file(
        &lab,
        "mail.eml",
        "From: a@far.test\r\nSubject: x\r\n\r\nhello\r\n",
    );
    let test = |client: &str, more: &[&str]| {
        let base = ["rules", "test", &mail, "--from", "a@far.test"];
        lab.cli(&[&base[..], &["--client", client], more].concat())
    };
    let clear = test("192.0.2.7", &["--to", "anna@firma.test"]);
    assert!(clear.contains("rcpt: secure decided: reject"), "{clear}");
    assert!(
        clear.contains("[yes] ALL of") && clear.contains("[yes] ANY of"),
        "{clear}"
    );
    assert!(
        !clear.contains("data:"),
        "nothing comes after a refusal: {clear}"
    );
    let tls = test("192.0.2.7", &["--to", "anna@firma.test", "--tls", "1.2"]);
    assert!(
        tls.contains("rcpt: no rule acts") && tls.contains("[no] not: the connection uses TLS"),
        "{tls}"
    );
    let inside = test("10.1.2.3", &["--to", "x@other.test"]);
    assert!(inside.contains("rcpt: no rule acts"), "{inside}");
    let tags = file(
        &lab,
        "tags.toml",
        "[[rules]]\nname = \"mark\"\nat = [\"mail\"]\nthen = [{ do = \"tag\", word = \"seen\" }]\n\
         [[rules]]\nname = \"stop\"\nat = [\"rcpt\"]\nwhen = { fact = \"tag\", value = \"seen\" }\n\
         then = [{ do = \"reject\", text = \"no\" }]\n",
    );
    let tagged = test("10.1.2.3", &["--to", "x@other.test", "--rules", &tags]);
    assert!(tagged.contains("rcpt: stop decided: reject"), "{tagged}");
    let session = file(
        &lab,
        "session.toml",
        "client = \"10.1.2.3\"\nsender = \"a@far.test\"\nrecipients = [{ address = \"anna@firma.test\" }]\n",
    );
    let described = lab.cli(&["rules", "test", "--session", &session, "--at", "rcpt"]);
    assert!(described.contains("secure decided"), "{described}");
}

#[test]
fn every_change_is_a_version_that_can_be_taken_back() {
    let lab = Lab::start();
    let secure = file(&lab, "secure.toml", SECURE);
    lab.cli(&["rules", "add", &secure, "--reason", "ticket 17"]);
    let exported = lab.cli(&["rules", "export"]);
    // State files hold the rules, too.
    let state = lab.cli(&["export"]);
    assert!(state.contains("[[rules]]"), "{state}");
    let without = file(&lab, "state.toml", "rules = []\n");
    let plan = lab.server.cli(&["plan", &without]).1;
    assert!(plan.contains("Rule secure is removed"), "{plan}");
    let whole = file(&lab, "whole.toml", &state);
    let plan = lab.server.cli(&["plan", &whole]).1;
    assert!(!plan.contains("Rule "), "{plan}");
    lab.cli(&["rules", "remove", "secure", "--reason", "no longer"]);
    let history = lab.cli(&["rules", "history"]);
    assert!(
        history.contains("ticket 17") && history.contains("no longer"),
        "{history}"
    );
    assert_eq!(lab.cli(&["rules", "diff", "1"]), "- secure\n");
    lab.cli(&["rules", "rollback", "1"]);
    assert_eq!(lab.cli(&["rules", "export"]), exported);
    let import = file(&lab, "set.toml", &exported);
    let again = lab.cli(&["rules", "import", &import]);
    assert!(again.contains("Nothing changed"), "{again}");
    let (ok, _, why) = lab.server.cli(&["rules", "remove", "missing"]);
    assert!(!ok && why.contains("there is no rule missing"), "{why}");
}

#[test]
fn a_swapped_order_is_warned_of_and_what_it_does_is_told() {
    let lab = Lab::start();
    let disable = r#"{"name":"disableAUTH_on_non_SSL","at":["hello"],
        "then":[{"do":"auth-mechanisms","only":[]}]}"#;
    let enable = r#"{"name":"enableAUTH_on_SSL","at":["hello"],"when":{"fact":"tls","value":true},
        "then":[{"do":"auth-mechanisms","only":["PLAIN","LOGIN"]}]}"#;
    let right = file(
        &lab,
        "right.json",
        &format!(r#"{{"rules":[{disable},{enable}]}}"#),
    );
    let swapped = file(
        &lab,
        "swapped.json",
        &format!(r#"{{"rules":[{enable},{disable}]}}"#),
    );
    assert_eq!(lab.cli(&["rules", "lint", &right]), "Nothing to say.\n");
    let (ok, text, _) = lab.server.cli(&["rules", "lint", &swapped]);
    assert!(
        !ok && text.contains("overridden: enableAUTH_on_SSL has no effect"),
        "{text}"
    );
    let warned = lab.cli(&["rules", "import", &swapped]);
    assert!(
        warned.contains("warning: enableAUTH_on_SSL has no effect"),
        "{warned}"
    );
    // What the linter says is so: in TLS nobody could log in any more.
    let test = |set: &str| {
        lab.cli(&[
            "rules", "test", "--rules", set, "--at", "hello", "--tls", "1.3", "--hello", "x",
        ])
    };
    let told = test(&swapped);
    let last = told.lines().next().unwrap_or_default().to_owned();
    assert!(
        last.ends_with("disableAUTH_on_non_SSL: offer no login"),
        "{told}"
    );
    let told = test(&right);
    let last = told.lines().next().unwrap_or_default().to_owned();
    assert!(
        last.ends_with("enableAUTH_on_SSL: offer login only by PLAIN, LOGIN"),
        "{told}"
    );
}
