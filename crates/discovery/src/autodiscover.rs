//! Outlook's Autodiscover: the question as XML (MS-OXDSCLI, "POX"), read by a bounded reader over events without
//! document types or entities of its own, the answer of schema 2006a; and its successor's JSON, which only says where
//! the XML is. Asks nobody whether an address exists.

use crate::Provider;
use crate::server::{Encryption, Protocol, Server, Servers};
use crate::xml::Document;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};
use serde_json::json;

/// Bytes of a question; Outlook's has about 400.
pub const QUESTION_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a text in it; an address has at most 254 (RFC 5321 §4.5.3.1.3).
const TEXT_BYTES_MAX: usize = 512;
/// Elements inside each other; a question has three.
const DEPTH_MAX: usize = 8;
/// The only schema of answers there is here.
const SCHEMA: &str =
    "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";
/// Where the XML is asked for, below a host.
pub const PATH: &str = "/autodiscover/autodiscover.xml";

/// What a program asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// As it was typed; whoever answers looks whether it is an address.
    pub address: String,
}

/// Why a question is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// It is larger than any program's.
    #[error("the request has more than {QUESTION_BYTES_MAX} bytes")]
    TooLarge,
    /// It is no XML, or goes deeper than a question does.
    #[error("the request is no XML that asks for settings")]
    Xml,
    /// It has a document type or entities of its own.
    #[error("the request has a document type or an entity of its own")]
    DocumentType,
    /// It asks for another kind of answer, such as that for ActiveSync.
    #[error(
        "only settings for IMAP, POP3 and SMTP are known here (schema outlook/responseschema/2006a)"
    )]
    Schema,
    /// It names no address.
    #[error("the request names no address (EMailAddress)")]
    NoAddress,
}

impl Question {
    /// Reads a question.
    ///
    /// # Errors
    /// Where it is none, or larger than the limits.
    pub fn parse(bytes: &[u8]) -> Result<Self, QuestionError> {
        if bytes.len() > QUESTION_BYTES_MAX {
            return Err(QuestionError::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| QuestionError::Xml)?;
        let mut reader = Reader::from_str(text);
        let mut reading = Reading::default();
        loop {
            match reader.read_event().map_err(|_| QuestionError::Xml)? {
                Event::Start(start) => reading.open(start.local_name().as_ref())?,
                Event::Empty(_) | Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::End(_) => reading.close(),
                Event::Text(text) => reading.text(text.as_ref()),
                Event::CData(text) => reading.text(text.as_ref()),
                Event::GeneralRef(reference) => reading.reference(&reference)?,
                Event::DocType(_) => return Err(QuestionError::DocumentType),
                Event::Eof => break,
            }
        }
        reading.finish()
    }
}

#[derive(Default)]
struct Reading {
    path: Vec<String>,
    text: String,
    address: Option<String>,
    schema: Option<String>,
}

impl Reading {
    fn open(&mut self, name: &str) -> Result<(), QuestionError> {
        if self.path.len() >= DEPTH_MAX {
            return Err(QuestionError::Xml);
        }
        self.path.push(name.chars().take(TEXT_BYTES_MAX).collect());
        self.text.clear();
        Ok(())
    }

    fn text(&mut self, text: &str) {
        for letter in text.chars().filter(|c| !c.is_control()) {
            if self.text.len() + letter.len_utf8() > TEXT_BYTES_MAX {
                return;
            }
            self.text.push(letter);
        }
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), QuestionError> {
        let letter = match reference.as_ref() {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => reference
                .resolve_char_ref()
                .ok()
                .flatten()
                .ok_or(QuestionError::DocumentType)?,
        };
        self.text(letter.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn close(&mut self) {
        let text = std::mem::take(&mut self.text);
        match self.path.pop().as_deref() {
            Some("EMailAddress") => self.address = Some(text.trim().to_owned()),
            Some("AcceptableResponseSchema") => self.schema = Some(text.trim().to_owned()),
            _ => {}
        }
    }

    fn finish(self) -> Result<Question, QuestionError> {
        if !self.path.is_empty() {
            return Err(QuestionError::Xml);
        }
        // Some programs name none and take this one.
        if self.schema.is_some_and(|schema| schema != SCHEMA) {
            return Err(QuestionError::Schema);
        }
        let address = self.address.filter(|address| !address.is_empty());
        let address = address.ok_or(QuestionError::NoAddress)?;
        Ok(Question { address })
    }
}

/// The answer for `address`, which is the same for every address of a domain but for the name in it.
pub fn answer(servers: &Servers, provider: &Provider<'_>, address: &str) -> String {
    let mut made = begin();
    made.open("Response", &[("xmlns", SCHEMA)]);
    made.open("User", &[]);
    made.text("DisplayName", address);
    made.close();
    made.open("Account", &[]);
    made.text("AccountType", "email");
    made.text("Action", "settings");
    made.text("ServiceHome", provider.site);
    for protocol in Protocol::ALL {
        if let Some(server) = servers.best(protocol) {
            one(&mut made, server, address);
        }
    }
    made.finish()
}

fn begin() -> Document {
    let mut made = Document::new("");
    let schema = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";
    made.open("Autodiscover", &[("xmlns", schema)]);
    made
}

/// One server of each protocol: Outlook takes the first and tries no other.
fn one(made: &mut Document, server: &Server, address: &str) {
    made.open("Protocol", &[]);
    made.text("Type", &server.protocol().word().to_ascii_uppercase());
    made.text("Server", server.host().as_str());
    made.text("Port", &server.port().to_string());
    made.text("LoginName", address);
    made.text("DomainRequired", "off");
    made.text("SPA", "off");
    made.text("SSL", "on");
    let encryption = match server.encryption() {
        Encryption::ImplicitTls => "SSL",
        Encryption::StartTls => "TLS",
    };
    made.text("Encryption", encryption);
    made.text("AuthRequired", "on");
    if server.protocol() == Protocol::Smtp {
        made.text("UsePOPAuth", "off");
        made.text("SMTPLast", "off");
    }
    made.close();
}

/// What is said where there is nothing to say; `why` is for people.
pub fn refusal(why: &str) -> String {
    let mut made = begin();
    made.open("Response", &[]);
    made.open("Error", &[]);
    // MS-OXDSCLI §2.2.4.1.1.2: the request was not understood.
    made.text("ErrorCode", "600");
    made.text("Message", why);
    made.empty("DebugData");
    made.finish()
}

/// The answer of the JSON successor where it is asked for `protocol`: where the XML is, on `site` (with a final
/// slash). `Err`: the body of a refusal, to go with status 400.
///
/// # Errors
/// For every protocol but the XML itself: there is no Exchange here.
pub fn json(protocol: &str, site: &str) -> Result<String, String> {
    if protocol.eq_ignore_ascii_case("AutodiscoverV1") {
        let url = format!("{site}{}", PATH.trim_start_matches('/'));
        return Ok(json!({ "Protocol": "AutodiscoverV1", "Url": url }).to_string());
    }
    let why =
        "Only AutodiscoverV1 is known here, which tells the settings for IMAP, POP3 and SMTP.";
    Err(json!({ "ErrorCode": "InvalidProtocol", "ErrorMessage": why }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use proptest::prelude::*;

    fn question(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Autodiscover \
             xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\">\
             <Request>{inner}</Request></Autodiscover>"
        )
    }

    #[test]
    fn outlooks_question_is_read() {
        let asked = question(&format!(
            "<EMailAddress> anna@firma.test</EMailAddress>\
             <AcceptableResponseSchema>{SCHEMA}</AcceptableResponseSchema>"
        ));
        let read = Question::parse(asked.as_bytes()).unwrap();
        assert_eq!(read.address, "anna@firma.test");
        let escaped = question("<EMailAddress>a&amp;b&#64;firma.test</EMailAddress>");
        assert_eq!(
            Question::parse(escaped.as_bytes()).unwrap().address,
            "a&b@firma.test"
        );
    }

    #[test]
    fn what_is_none_is_refused() {
        let deep = "<a>".repeat(9);
        let mobile =
            "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006";
        let schema = format!(
            "<EMailAddress>a@b.test</EMailAddress><AcceptableResponseSchema>{mobile}</AcceptableResponseSchema>"
        );
        for (asked, why) in [
            (question(""), QuestionError::NoAddress),
            (
                question("<EMailAddress></EMailAddress>"),
                QuestionError::NoAddress,
            ),
            (question(&schema), QuestionError::Schema),
            (
                format!("<!DOCTYPE a [<!ENTITY x \"y\">]>{}", question("")),
                QuestionError::DocumentType,
            ),
            (
                question("<EMailAddress>&x;</EMailAddress>"),
                QuestionError::DocumentType,
            ),
            (deep, QuestionError::Xml),
            ("<a></b>".to_owned(), QuestionError::Xml),
            ("<a>".to_owned(), QuestionError::Xml),
            ("x".repeat(QUESTION_BYTES_MAX + 1), QuestionError::TooLarge),
        ] {
            assert_eq!(Question::parse(asked.as_bytes()), Err(why), "{asked:.80}");
        }
    }

    #[test]
    fn the_answer_has_one_encrypted_server_of_each_kind() {
        let text = answer(&testing::servers(), &testing::PROVIDER, "a&b@firma.test");
        assert!(
            text.contains("<LoginName>a&amp;b@firma.test</LoginName>"),
            "{text}"
        );
        for port in [993, 995, 465] {
            assert!(text.contains(&format!("<Port>{port}</Port>")), "{text}");
        }
        assert_eq!(text.matches("<SSL>on</SSL>").count(), 3);
        assert_eq!(text.matches("<Encryption>SSL</Encryption>").count(), 3);
    }

    #[test]
    fn the_successor_only_says_where_the_xml_is() {
        let told = json("autodiscoverv1", "https://rp.test/").unwrap();
        assert!(
            told.contains("https://rp.test/autodiscover/autodiscover.xml"),
            "{told}"
        );
        assert!(json("ActiveSync", "https://rp.test/").is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_is_read_stays_within_its_limits(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(read) = Question::parse(&bytes) {
                prop_assert!(read.address.len() <= TEXT_BYTES_MAX);
            }
        }
    }
}
