//! Content transfer encodings (RFC 2045 §6) decoded while streaming. Lenient as readers must be:
//! what is no base64 is skipped, what is no quoted-printable stays. Bounded memory, never fails.

/// A transfer decoding under way.
#[derive(Debug, Clone)]
pub struct Decoder {
    encoding: Encoding,
}

#[derive(Debug, Clone)]
enum Encoding {
    Identity,
    Base64(Base64),
    QuotedPrintable(QuotedPrintable),
}

#[derive(Debug, Clone, Default)]
struct Base64 {
    bits: u32,
    letters: u8,
}

/// An unfinished escape or white space that may turn out to stand at the end of a line.
#[derive(Debug, Clone, Default)]
struct QuotedPrintable {
    waiting: Vec<u8>,
}

/// White space kept until its line's end shows whether it counts.
const WAITING_BYTES_MAX: usize = 1000;

impl Decoder {
    /// For a Content-Transfer-Encoding in lower case; unknown ones and none pass bytes through.
    pub fn new(encoding: Option<&[u8]>) -> Self {
        let encoding = match encoding {
            Some(b"base64") => Encoding::Base64(Base64::default()),
            Some(b"quoted-printable") => Encoding::QuotedPrintable(QuotedPrintable::default()),
            _ => Encoding::Identity,
        };
        Self { encoding }
    }

    /// Decodes the next bytes to the end of `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match &mut self.encoding {
            Encoding::Identity => out.extend_from_slice(bytes),
            Encoding::Base64(state) => state.push(bytes, out),
            Encoding::QuotedPrintable(state) => state.push(bytes, out),
        }
    }

    /// Writes what the end of the input leaves over.
    pub fn finish(self, out: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Identity => {}
            Encoding::Base64(mut state) => state.flush(out),
            Encoding::QuotedPrintable(state) => {
                if state.waiting.starts_with(b"=") {
                    out.extend_from_slice(&state.waiting);
                }
            }
        }
    }
}

const NO_LETTER: u8 = 64;
const BASE64_VALUES: [u8; 256] = {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [NO_LETTER; 256];
    let mut at = 0;
    while at < letters.len() {
        values[letters[at] as usize] = at as u8;
        at += 1;
    }
    values
};

impl Base64 {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.reserve(bytes.len() / 4 * 3 + 3);
        for &byte in bytes {
            let value = BASE64_VALUES[usize::from(byte)];
            if value < NO_LETTER {
                self.bits = self.bits << 6 | u32::from(value);
                self.letters += 1;
                if self.letters == 4 {
                    let [_, a, b, c] = self.bits.to_be_bytes();
                    out.extend_from_slice(&[a, b, c]);
                    (self.bits, self.letters) = (0, 0);
                }
            } else if byte == b'=' {
                // Several encoded texts may follow each other, each with its own padding.
                self.flush(out);
            }
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        let [_, a, b, _] = (self.bits << (6 * (4 - u32::from(self.letters.min(4))))).to_be_bytes();
        match self.letters {
            2 => out.push(a),
            3 => out.extend_from_slice(&[a, b]),
            _ => {}
        }
        (self.bits, self.letters) = (0, 0);
    }
}

impl QuotedPrintable {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if self.waiting.is_empty() {
                let plain = rest
                    .iter()
                    .position(|&byte| matches!(byte, b'=' | b' ' | b'\t'))
                    .unwrap_or(rest.len());
                let (plain, special) = rest.split_at(plain);
                out.extend_from_slice(plain);
                rest = special;
                if let Some((&first, after)) = rest.split_first() {
                    self.waiting.push(first);
                    rest = after;
                }
                continue;
            }
            rest = after;
            match self.waiting.first() {
                Some(b'=') => self.escape(byte, out),
                _ => self.space(byte, out),
            }
        }
    }

    fn space(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b' ' | b'\t' | b'\r' if self.waiting.len() < WAITING_BYTES_MAX => {
                self.waiting.push(byte)
            }
            // RFC 2045 §6.7 (3): white space at the end of a line was added on the way.
            b'\n' => {
                if self.waiting.contains(&b'\r') {
                    out.push(b'\r');
                }
                out.push(b'\n');
                self.waiting.clear();
            }
            _ => {
                out.append(&mut self.waiting);
                match byte {
                    b'=' => self.waiting.push(byte),
                    _ => out.push(byte),
                }
            }
        }
    }

    fn escape(&mut self, byte: u8, out: &mut Vec<u8>) {
        let hex = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        match (self.waiting.get(1).copied(), byte) {
            // A soft line break; white space between `=` and the line end was added on the way.
            (_, b'\n') => self.waiting.clear(),
            (None | Some(b' ' | b'\t' | b'\r'), b' ' | b'\t' | b'\r')
                if self.waiting.len() < WAITING_BYTES_MAX =>
            {
                self.waiting.push(byte);
            }
            (None, byte) if hex(byte).is_some() => self.waiting.push(byte),
            (Some(high), byte) if hex(high).is_some() && hex(byte).is_some() => {
                out.push(hex(high).unwrap_or(0) << 4 | hex(byte).unwrap_or(0));
                self.waiting.clear();
            }
            _ => {
                out.append(&mut self.waiting);
                match byte {
                    b'=' => self.waiting.push(byte),
                    _ => out.push(byte),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(encoding: &str, bytes: &[u8]) -> Vec<u8> {
        let mut decoder = Decoder::new(Some(encoding.as_bytes()));
        let mut out = Vec::new();
        decoder.push(bytes, &mut out);
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn encodings_are_decoded() {
        for (encoding, bytes, expected) in [
            ("base64", "R3LDvMOfZQ==", "Grüße"),
            ("base64", "R3LD\r\nvMOf!ZQ", "Grüße"),
            ("base64", "R3I=R3I=", "GrGr"),
            ("base64", "R", ""),
            ("quoted-printable", "Gr=C3=BC=c3=9fe", "Grüße"),
            ("quoted-printable", "a=\r\nb= \t\r\nc=\nd", "abcd"),
            ("quoted-printable", "a  \t\r\nb \nc ", "a\r\nb\nc"),
            ("quoted-printable", "a=zz=4=4x==41= x=4", "a=zz=4=4x=A= x=4"),
            ("7bit", "a=41", "a=41"),
        ] {
            let decoded = decode(encoding, bytes.as_bytes());
            assert_eq!(String::from_utf8_lossy(&decoded), expected, "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn splits_do_not_matter(
            bytes in "[a-zA-Z0-9+/= \t\r\n]{0,60}",
            cut in any::<prop::sample::Index>(),
            encoding in prop_oneof![Just("base64"), Just("quoted-printable")],
        ) {
            let cut = cut.index(bytes.len() + 1);
            let mut decoder = Decoder::new(Some(encoding.as_bytes()));
            let mut out = Vec::new();
            decoder.push(&bytes.as_bytes()[..cut], &mut out);
            decoder.push(&bytes.as_bytes()[cut..], &mut out);
            decoder.finish(&mut out);
            prop_assert_eq!(out, decode(encoding, bytes.as_bytes()));
        }
    }
}
