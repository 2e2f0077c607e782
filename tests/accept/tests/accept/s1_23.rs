//! S1-23: `legacy status` shows the TLS library the gateway runs with, and what is known of its weaknesses and support.

use harness::Lab;
use std::process::Command;

#[test]
fn the_library_and_what_is_known_of_it_are_shown() {
    let lab = Lab::start_legacy(&[]);
    let output = Command::new("openssl")
        .arg("version")
        .output()
        .expect("openssl is installed");
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = version
        .split(" (")
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    lab.wait("the gateway", || {
        let status = lab.cli(&["legacy", "status"]);
        match status.contains(&format!("Gateway: connected, {version}")) {
            true => Ok(()),
            false => Err(status),
        }
    });
    let status = lab.cli(&["legacy", "status"]);
    let known = status.contains("CVE-")
        || status.contains("No advisory that this program knows")
        || status.contains("knows nothing about the advisories");
    assert!(known, "{status}");
    let json: serde_json::Value =
        serde_json::from_str(&lab.cli(&["legacy", "status", "--json"])).expect("JSON");
    assert_eq!(json["gateway"]["library"], version);
    assert!(json["gateway"]["known_of_the_library"].is_array());
    // Without a gateway nothing is claimed.
    let alone = Lab::start();
    let status = alone.cli(&["legacy", "status"]);
    assert!(status.contains("none is configured"), "{status}");
}
