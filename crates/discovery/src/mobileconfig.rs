//! Apple's configuration profile for one address (`com.apple.mail.managed`): a property list without a password, with
//! identifiers that stay the same, so that installing it again replaces it. Not signed; the system says so.

use crate::Provider;
use crate::server::{Protocol, Server, Servers};
use crate::xml::Document;
use sha2::{Digest as _, Sha256};

/// The type of the answer.
pub const MEDIA_TYPE: &str = "application/x-apple-aspen-config";

const PROLOGUE: &str = "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
                        \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n";

/// The profile for `address`. `None`: nothing to read with or to send by is offered.
pub fn profile(servers: &Servers, provider: &Provider<'_>, address: &str) -> Option<String> {
    let incoming = servers
        .best(Protocol::Imap)
        .or_else(|| servers.best(Protocol::Pop3))?;
    let outgoing = servers.best(Protocol::Smtp)?;
    let name = format!("{} ({address})", provider.name);
    let own = format!(
        "{}.mail.{}",
        incoming.host(),
        &digest("name", address)[..16]
    );
    let mut made = Plist(Document::new(PROLOGUE));
    made.0.open("plist", &[("version", "1.0")]);
    made.0.open("dict", &[]);
    made.key("PayloadContent");
    made.0.open("array", &[]);
    made.0.open("dict", &[]);
    let kind = match incoming.protocol() {
        Protocol::Pop3 => "EmailTypePOP",
        Protocol::Imap | Protocol::Smtp => "EmailTypeIMAP",
    };
    made.string("EmailAccountDescription", provider.name);
    made.string("EmailAccountType", kind);
    made.string("EmailAddress", address);
    made.server("Incoming", incoming, address);
    made.server("Outgoing", outgoing, address);
    made.boolean("OutgoingPasswordSameAsIncomingPassword", true);
    made.string("PayloadDisplayName", &name);
    made.payload(
        "com.apple.mail.managed",
        &format!("{own}.account"),
        &uuid("account", address),
    );
    made.0.close();
    made.0.close();
    made.string("PayloadDisplayName", &name);
    made.string("PayloadOrganization", provider.name);
    made.boolean("PayloadRemovalDisallowed", false);
    made.payload("Configuration", &own, &uuid("profile", address));
    Some(made.0.finish())
}

/// Keys and values of a property list.
struct Plist(Document);

impl Plist {
    fn key(&mut self, key: &str) {
        self.0.text("key", key);
    }

    fn string(&mut self, key: &str, value: &str) {
        self.key(key);
        self.0.text("string", value);
    }

    fn integer(&mut self, key: &str, value: u16) {
        self.key(key);
        self.0.text("integer", &value.to_string());
    }

    fn boolean(&mut self, key: &str, value: bool) {
        self.key(key);
        self.0.empty(if value { "true" } else { "false" });
    }

    /// `UseSSL` means TLS from the first byte, and STARTTLS on the ports of that.
    fn server(&mut self, side: &str, server: &Server, address: &str) {
        self.string(
            &format!("{side}MailServerAuthentication"),
            "EmailAuthPassword",
        );
        self.string(&format!("{side}MailServerHostName"), server.host().as_str());
        self.integer(&format!("{side}MailServerPortNumber"), server.port());
        self.boolean(&format!("{side}MailServerUseSSL"), true);
        self.string(&format!("{side}MailServerUsername"), address);
    }

    fn payload(&mut self, kind: &str, identifier: &str, uuid: &str) {
        self.string("PayloadIdentifier", identifier);
        self.string("PayloadType", kind);
        self.string("PayloadUUID", uuid);
        self.integer("PayloadVersion", 1);
    }
}

fn digest(role: &str, address: &str) -> String {
    let text = format!("rohrpost profile\0{role}\0{}", address.to_lowercase());
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// RFC 9562 §5.8: a UUID of version 8 over what names it.
fn uuid(role: &str, address: &str) -> String {
    let hex = digest(role, address);
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-8{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn made(address: &str) -> String {
        profile(&testing::servers(), &testing::PROVIDER, address).unwrap()
    }

    #[test]
    fn it_names_the_best_servers_and_no_password() {
        let text = made("anna@firma.test");
        for told in [
            "EmailTypeIMAP",
            "<integer>993</integer>",
            "<integer>465</integer>",
        ] {
            assert!(text.contains(told), "{told}\n{text}");
        }
        assert_eq!(text.matches("UseSSL</key>\n").count(), 2);
        assert!(!text.contains("MailServerPassword"), "{text}");
    }

    #[test]
    fn installing_it_again_replaces_it() {
        assert_eq!(made("anna@firma.test"), made("anna@firma.test"));
        assert_eq!(
            uuid("profile", "Anna@firma.test"),
            uuid("profile", "anna@firma.test")
        );
        assert_ne!(
            uuid("profile", "bernd@firma.test"),
            uuid("profile", "anna@firma.test")
        );
        assert_ne!(
            uuid("profile", "anna@firma.test"),
            uuid("account", "anna@firma.test")
        );
        let groups: Vec<usize> = uuid("profile", "x").split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
    }

    #[test]
    fn pop3_stands_in_and_nothing_is_made_up() {
        let only = testing::of(&["pop3 tls 995", "smtp tls 465"]);
        let text = profile(&only, &testing::PROVIDER, "a@b.test").unwrap();
        assert!(
            text.contains("EmailTypePOP") && text.contains("<integer>995<"),
            "{text}"
        );
        assert_eq!(
            profile(
                &testing::of(&["imap tls 993"]),
                &testing::PROVIDER,
                "a@b.test"
            ),
            None
        );
    }
}
