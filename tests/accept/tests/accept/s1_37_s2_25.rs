//! S1-37, S2-25: an announcement is public, says as of when it is and how long it takes to read, hides internal
//! steps, and takes questions that appear when they are approved, never with the address of who asked.

use harness::{Server, Web};
use serde_json::{Value, json};

fn rollout() -> Value {
    json!({
        "slug": "tls12",
        "title": { "de": "Ende alter Verschlüsselung", "en": "The end of old encryption" },
        "reason": "old TLS is not safe",
        "as_of": "2025-01-10",
        "audience": ["installation"],
        "steps": [
            { "measure": "tls-version/imap", "value": "1.2", "stage": "warn", "date": "2025-02-01", "visibility": "internal" },
            { "measure": "tls-version/imap", "value": "1.2", "stage": "enforce", "date": "2025-03-05" },
        ],
        "evidence": [{ "source": "a peer", "seen": "2025-01-02", "note": "others do that, too" }],
    })
}

#[test]
fn an_announcement_is_public_and_takes_questions() {
    let server = Server::start_with(&["--clock", "2025-01-11T12:00:00+01:00"]);
    let (operator, web) = (Web::operator(&server), Web::new(&server));
    let body = json!({ "document": rollout(), "reason": "x" });
    operator.json("POST", "/api/v1/rollouts", &body).with(201);
    web.get("/ankuendigungen/tls12").with(404);
    let announce = json!({ "action": "announce", "reason": "x" });
    operator
        .json("POST", "/api/v1/rollouts/tls12/state", &announce)
        .with(200);

    let german = web.get("/ankuendigungen/tls12").with(200).body;
    assert!(
        german.contains("Stand: 10. Januar 2025") && german.contains("Lesedauer: "),
        "{german}"
    );
    assert!(
        german.contains("5. März 2025") && german.contains("Warum diese Änderungen?"),
        "{german}"
    );
    assert!(
        !german.contains("Februar") && !german.contains("a peer"),
        "{german}"
    );
    let english = web.get("/announcements/tls12?lang=en").with(200).body;
    assert!(
        english.contains("As of") && english.contains("Reading time: "),
        "{english}"
    );
    assert!(
        !english.contains("{") && !english.contains("<script"),
        "{english}"
    );

    let asked = "name=Herr+A&address=a%40kunde.example&text=Und+mein+%3Cb%3EPlotter%3F";
    web.form("/ankuendigungen/tls12/fragen", asked).with(303);
    assert!(!web.get("/ankuendigungen/tls12").body.contains("Plotter"));
    let list = operator
        .get("/api/v1/rollouts/tls12/questions")
        .with(200)
        .json();
    assert_eq!(
        (&list[0]["state"], &list[0]["address"]),
        (&"waiting".into(), &"a@kunde.example".into())
    );
    let show = json!({ "decision": "show", "answer": "Es gibt einen Zugang." });
    operator
        .json("PUT", "/api/v1/rollouts/tls12/questions/1", &show)
        .with(204);
    let page = web.get("/ankuendigungen/tls12").with(200).body;
    assert!(
        page.contains("Und mein &lt;b&gt;Plotter?") && page.contains("Es gibt einen Zugang."),
        "{page}"
    );
    assert!(!page.contains("a@kunde.example"), "{page}");

    // Who is logged in reads first what it means for the own account (S1-05).
    let own = Web::log_in(&server, "anna")
        .get("/ankuendigungen/tls12")
        .with(200)
        .body;
    assert!(own.contains("Sie müssen nichts tun"), "{own}");
}
