//! S3-45: customer groups with the usual names, set on a domain or an account; what a group has counts for
//! those in it.

use harness::Server;

fn cli(server: &Server, arguments: &[&str]) -> String {
    let (ok, output, errors) = server.cli(arguments);
    assert!(ok, "{arguments:?}: {output}{errors}");
    output
}

#[test]
fn domains_and_accounts_are_put_into_groups() {
    let server = Server::start();
    cli(&server, &["account", "add", "paul@privat.test"]);
    cli(&server, &["group", "set", "privat.test", "private"]);
    let shown = cli(&server, &["domain", "show", "privat.test"]);
    assert!(shown.contains("private"), "{shown}");
    cli(&server, &["group", "set", "paul@privat.test", "newsletter"]);
    let groups = cli(&server, &["group", "list"]);
    assert!(
        groups.contains("newsletter") && groups.contains("Private customers"),
        "{groups}"
    );
    // The account's own group stands before its domain's.
    let weight = |who: &str| {
        let shown = cli(&server, &["policy", "show", who]);
        let line = shown
            .lines()
            .find(|line| line.starts_with("weight "))
            .map(str::to_owned);
        line.unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(weight("paul@privat.test"), "weight 2 group newsletter");
    assert_eq!(weight("privat.test"), "weight 10 group private");

    let defaults = cli(&server, &["group", "defaults"]);
    for name in [
        "business",
        "premium",
        "free",
        "internal",
        "external",
        "important",
    ] {
        assert!(
            defaults.contains(&format!("Group {name} is added.")),
            "{defaults}"
        );
    }
    assert_eq!(cli(&server, &["group", "defaults"]), "Nothing changes.\n");
    let (ok, _, why) = server.cli(&["group", "set", "privat.test", "nonsense"]);
    assert!(
        !ok && why.contains("group nonsense does not exist"),
        "{why}"
    );
    // What goes takes its settings along.
    cli(
        &server,
        &["policy", "set", "free", "messages-per-hour", "20"],
    );
    cli(&server, &["group", "remove", "free"]);
    cli(&server, &["group", "add", "free"]);
    let shown = cli(&server, &["policy", "show", "free"]);
    assert!(!shown.contains("20"), "{shown}");
}
