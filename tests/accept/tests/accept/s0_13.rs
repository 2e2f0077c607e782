//! S0-13: every refusal carries the address of a page that says what it is about, and the page is there in both languages.

use harness::{Lines, Server, Web};

/// The words after `/h/` in the program's refusals.
const WORDS: [&str; 5] = ["sender", "spoofed", "tls", "cleartext", "legacy"];

#[test]
fn the_page_that_a_refused_sender_is_told_of_is_there() {
    let server = Server::start();
    let anna = server.account("anna");
    let mut smtp = Lines::tls(server.port("submissions"), &server.ca_file());
    smtp.smtp();
    smtp.smtp_ask("EHLO client.example");
    let plain = harness::lines::base64(format!("\0{}\0{}", anna.address, anna.password).as_bytes());
    smtp.smtp_ask(&format!("AUTH PLAIN {plain}"));
    let refused = smtp.smtp_ask("MAIL FROM:<fremd@other.test>");
    let url = refused
        .split_whitespace()
        .find(|word| word.contains("/h/"))
        .expect("an address");
    assert!(refused.starts_with("55"), "{refused}");
    let path = &url[url.find("/h/").expect("a path")..];
    assert_eq!(path, "/h/sender");
    let web = Web::new(&server);
    let german = web.get(&format!("{path}?lang=de")).with(200).body;
    let english = web.get(&format!("{path}?lang=en")).with(200).body;
    assert!(
        german.contains("<html lang=\"de\">") && german.contains("Absender"),
        "{german}"
    );
    assert!(
        english.contains("<html lang=\"en\">") && english.contains("sender"),
        "{english}"
    );
}

#[test]
fn every_page_of_a_refusal_is_there_in_both_languages_and_without_script() {
    let server = Server::start();
    let web = Web::new(&server);
    for word in WORDS {
        let texts = ["de", "en"].map(|tag| web.get(&format!("/h/{word}?lang={tag}")).with(200));
        assert_ne!(texts[0].body, texts[1].body);
        for text in &texts {
            assert!(!text.body.contains("<script"), "{}", text.body);
        }
    }
    web.get("/h/none-such").with(404);
}
