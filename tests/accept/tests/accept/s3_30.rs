//! S3-30: the operator can find out where a message came from while that is kept; it is recorded who
//! looked; after seven days the story says that the origin is expired.

use harness::{Lab, Letter};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn accepted_as(reply: &str) -> String {
    let id = reply.split_whitespace().last().expect("an id");
    id.trim_end_matches('.').to_owned()
}

#[test]
fn the_origin_is_shown_recorded_and_expires() {
    let lab = Lab::start();
    let (anna, bernd) = (lab.server.account("anna"), lab.server.account("bernd"));
    let reply = lab.submit(&Letter::new("anna", &bernd.address, "where from"));
    assert!(reply.starts_with("250"), "{reply}");
    let id = accepted_as(&reply);

    let story = lab.cli(&["trace", &id]);
    assert!(story.contains("It came from address 127.0.0.1"), "{story}");
    assert!(story.contains("laptop.test"), "{story}");
    assert!(story.contains(&anna.address), "{story}");
    let german = lab.cli(&["trace", &id, "--lang", "de"]);
    assert!(
        german.contains("Sie kam von der Adresse 127.0.0.1"),
        "{german}"
    );
    // The recipient sees none of it.
    let message = lab.wait_inbox("bernd", &["where from"]);
    assert!(!message.contains("laptop.test"), "{message}");

    // By address and by Message-ID, too.
    let by_address = lab.cli(&["trace", &bernd.address]);
    assert!(by_address.contains(&id), "{by_address}");
    let message_id = message
        .lines()
        .find_map(|line| line.strip_prefix("Message-ID: "))
        .expect("a Message-ID");
    assert!(lab.cli(&["trace", message_id]).contains(&id));

    let views = lab.cli(&["trace", "--views"]);
    assert!(
        views.lines().filter(|view| view.contains(&id)).count() >= 2,
        "{views}"
    );
    assert!(views.contains("  local "), "{views}");

    lab.forward(6 * DAY);
    assert!(lab.cli(&["trace", &id]).contains("127.0.0.1"));
    lab.forward(DAY + Duration::from_secs(3600));
    lab.wait("an expired origin", || {
        let story = lab.cli(&["trace", &id]);
        if story.contains("expired") && !story.contains("127.0.0.1") {
            Ok(())
        } else {
            Err(story)
        }
    });
}
