//! Where a domain wants its TLS reports (RFC 8460 §3): reads the TXT record at `_smtp._tls.DOMAIN`.
//! Pure.

use formats::address::Address;
use platform::https::Target;

/// Destinations of one record that are served.
pub const DESTINATIONS_MAX: usize = 5;
/// Bytes of a record that are read.
const RECORD_BYTES_MAX: usize = 4096;

/// One place for reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// By mail.
    Mail(Address),
    /// By POST.
    Https(Target),
}

/// The name that is asked for the record of `domain` (A-labels).
pub fn record_name(domain: &str) -> String {
    format!("_smtp._tls.{domain}")
}

/// The destinations of a domain, as URIs in the order of its record.
///
/// ```abnf
/// tlsrpt-record = tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim]
/// tlsrpt-version = %s"v=TLSRPTv1"
/// tlsrpt-rua = %s"rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri)
/// ```
/// Records that do not begin with the version are discarded; where not exactly one is left, the
/// domain wants no reports (RFC 8460 §3).
pub fn uris(records: &[Vec<u8>]) -> Vec<String> {
    let mut ours = records.iter().filter_map(|record| {
        let record = record.get(..RECORD_BYTES_MAX).unwrap_or(record);
        let text = std::str::from_utf8(record).ok()?;
        let rest = text.strip_prefix("v=TLSRPTv1")?;
        rest.trim_start().strip_prefix(';')
    });
    let (Some(fields), None) = (ours.next(), ours.next()) else {
        return Vec::new();
    };
    let rua = fields
        .split(';')
        .find_map(|field| field.trim().strip_prefix("rua="));
    let known = |uri: &String| parse(uri).is_some();
    rua.unwrap_or_default()
        .split(',')
        .map(|uri| uri.trim().to_owned())
        .filter(known)
        .take(DESTINATIONS_MAX)
        .collect()
}

/// What a URI means; `None` for other schemes and for what is no address.
pub fn parse(uri: &str) -> Option<Destination> {
    let scheme = uri.split_once(':')?.0;
    if scheme.eq_ignore_ascii_case("mailto") {
        let address = uri.get(7..)?.split('?').next()?;
        return Address::parse(&percent_decoded(address)?)
            .ok()
            .map(Destination::Mail);
    }
    Target::parse(uri).ok().map(Destination::Https)
}

/// RFC 3986 §2.1.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
        out.push(u8::try_from(high << 4 | low).ok()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(records: &[&str]) -> Vec<String> {
        let records: Vec<_> = records.iter().map(|r| r.as_bytes().to_vec()).collect();
        uris(&records)
    }

    #[test]
    fn destinations_are_read_from_the_one_record() {
        assert_eq!(
            of(&[
                "v=spf1 -all",
                "v=TLSRPTv1; rua=mailto:tls@else.test , https://reports.else.test/v1?x=1 ; x=y"
            ]),
            ["mailto:tls@else.test", "https://reports.else.test/v1?x=1"]
        );
        assert!(
            of(&[
                "v=TLSRPTv1; rua=mailto:a@b.test",
                "v=TLSRPTv1; rua=mailto:c@b.test"
            ])
            .is_empty()
        );
        for none in [
            "v=TLSRPTv2; rua=mailto:a@b.test",
            "rua=mailto:a@b.test",
            "v=TLSRPTv1;",
            "v=TLSRPTv1",
        ] {
            assert!(of(&[none]).is_empty(), "{none}");
        }
        assert!(of(&["v=TLSRPTv1; rua=http://plain.test/, mailto:nobody, ftp://x"]).is_empty());
    }

    #[test]
    fn an_address_may_be_encoded() {
        let Some(Destination::Mail(address)) = parse("mailto:tls%2Brpt@else.test?subject=x") else {
            panic!("no address")
        };
        assert_eq!(address.to_string(), "tls+rpt@else.test");
        assert_eq!(parse("mailto:a%0d%0a@else.test"), None);
    }
}
