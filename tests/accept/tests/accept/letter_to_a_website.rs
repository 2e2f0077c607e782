//! Somebody whose WordPress sends with PHPMailer and old TLS gets a letter about websites, not about mail programs.

use crate::s1_13;
use harness::customer::{Customer, Newest, Program, Security};

#[test]
fn the_letter_about_phpmailer_has_the_section_for_wordpress() {
    let lab = s1_13::lab();
    let anna = lab.server.account("anna");
    let website = Customer {
        program: Program {
            imap_id: None,
            hello: "www.firma.test",
            mailer: Some("PHPMailer 5.2.22 (https://github.com/PHPMailer/PHPMailer)"),
            security: Security::StartTls,
            newest: Newest::Tls10,
        },
        user: anna.address,
        password: anna.password,
    };
    let visit = website.send(lab.server.port("submission"), "bernd@firma.test");
    assert!(visit.ok, "{visit:?}");
    lab.cli(&["rollout", "start", "tls", "--reason", "decided"]);
    lab.forward(s1_13::DAY);
    let letter = s1_13::letter(&lab, 1);
    for told in ["PHPMailer", "WordPress", "WP Mail SMTP", "mail()"] {
        assert!(letter.contains(told), "{told}: {letter}");
    }
}
