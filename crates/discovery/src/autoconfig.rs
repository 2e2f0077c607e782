//! Thunderbird's autoconfig (`mail/config-v1.1.xml`, draft-ietf-mailmaint-autoconfig): the servers as XML, the best
//! one of each kind first. Says nothing about an address: the user name is a placeholder that the program fills.

use crate::Provider;
use crate::server::{Encryption, Protocol, Server, Servers};
use crate::xml::Document;

/// What the program puts the typed address for.
const ADDRESS: &str = "%EMAILADDRESS%";

/// The answer for addresses of `domain`, in A-labels.
pub fn answer(servers: &Servers, provider: &Provider<'_>, domain: &str) -> String {
    let mut made = Document::new("");
    made.open("clientConfig", &[("version", "1.1")]);
    made.open("emailProvider", &[("id", domain)]);
    made.text("domain", domain);
    made.text("displayName", provider.name);
    made.text("displayShortName", provider.name);
    for server in servers.all() {
        one(&mut made, server);
    }
    let help = format!("{}help/", provider.site);
    made.open("documentation", &[("url", &help)]);
    made.text_with("descr", &[("lang", "de")], "Anleitungen für Mailprogramme");
    made.text_with("descr", &[("lang", "en")], "Guides for mail programs");
    made.finish()
}

fn one(made: &mut Document, server: &Server) {
    let element = match server.protocol() {
        Protocol::Imap | Protocol::Pop3 => "incomingServer",
        Protocol::Smtp => "outgoingServer",
    };
    made.open(element, &[("type", server.protocol().word())]);
    made.text("hostname", server.host().as_str());
    made.text("port", &server.port().to_string());
    let socket = match server.encryption() {
        Encryption::ImplicitTls => "SSL",
        Encryption::StartTls => "STARTTLS",
    };
    made.text("socketType", socket);
    // The format's word for a password inside TLS; its other word means CRAM-MD5.
    made.text("authentication", "password-cleartext");
    made.text("username", ADDRESS);
    made.close();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn every_server_is_named_and_the_best_first() {
        let text = answer(&testing::servers(), &testing::PROVIDER, "firma.test");
        assert!(
            text.contains("<displayName>Rp &amp; Söhne</displayName>"),
            "{text}"
        );
        let first = text.find("<port>993</port>").unwrap();
        assert!(first < text.find("<port>143</port>").unwrap());
        assert!(text.find("<port>465</port>").unwrap() < text.find("<port>587</port>").unwrap());
        assert_eq!(text.matches("<incomingServer").count(), 4);
        assert_eq!(text.matches("<outgoingServer").count(), 2);
        let sockets = text.matches("<socketType>SSL<").count();
        assert_eq!(sockets + text.matches("<socketType>STARTTLS<").count(), 6);
    }

    #[test]
    fn a_service_that_is_off_is_not_named() {
        let text = answer(
            &testing::of(&["imap tls 993"]),
            &testing::PROVIDER,
            "firma.test",
        );
        assert!(
            !text.contains("pop3") && !text.contains("STARTTLS"),
            "{text}"
        );
    }
}
