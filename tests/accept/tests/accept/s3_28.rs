//! S3-28: outgoing mail of people who logged in shows neither their address nor their host name.

use harness::{Lines, Server};
use std::time::Duration;

#[test]
#[allow(clippy::disallowed_methods, reason = "waits for another process")]
fn a_submitted_message_says_nothing_about_where_it_came_from() {
    let server = Server::start();
    let (anna, bernd) = (server.account("anna"), server.account("bernd"));
    let ca = server.ca_file();
    let mut smtp = Lines::tls(server.port("submissions"), &ca);
    smtp.smtp();
    smtp.smtp_ask("EHLO annas-iphone");
    let login = harness::lines::base64(format!("\0{}\0{}", anna.address, anna.password).as_bytes());
    assert!(
        smtp.smtp_ask(&format!("AUTH PLAIN {login}"))
            .starts_with("235")
    );
    assert!(
        smtp.smtp_ask(&format!("MAIL FROM:<{}>", anna.address))
            .starts_with("250")
    );
    assert!(
        smtp.smtp_ask(&format!("RCPT TO:<{}>", bernd.address))
            .starts_with("250")
    );
    assert!(smtp.smtp_ask("DATA").starts_with("354"));
    smtp.say(&format!(
        "From: {}\r\nTo: {}\r\nSubject: where am I\r\n\r\nx",
        anna.address, bernd.address
    ));
    assert!(smtp.smtp_ask(".").starts_with("250"));
    let mut imap = Lines::tls(server.port("imaps"), &ca);
    imap.line();
    imap.imap_ask("a", &format!("LOGIN {} {}", bernd.address, bernd.password));
    let mut message = String::new();
    for _ in 0..50 {
        imap.imap_ask("b", "SELECT INBOX");
        message = imap.imap_ask("c", "FETCH 1:* (BODY.PEEK[])");
        if message.contains("where am I") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(message.contains("where am I"), "{message}");
    assert!(message.contains("Received: "), "{message}");
    assert!(message.contains("ESMTPSA"), "{message}");
    assert!(
        !message.contains("annas-iphone") && !message.contains("127.0.0.1"),
        "{message}"
    );
}
