#![no_main]
//! DATA ends at CRLF "." CRLF and nowhere else (RFC 5321 §4.1.1.4), whatever bare CR and LF stand in
//! it, however it is cut into pieces; and an mx notices every bare CR and LF.

use libfuzzer_sys::fuzz_target;
use smtp::data::{BareEndings, Dots, Lines, Progress};
use std::convert::Infallible;

/// The message, where it ended, whether it must be refused.
fn read(pieces: &[&[u8]], dots: Dots, bare: BareEndings) -> (Vec<u8>, Option<usize>, bool) {
    let mut lines = Lines::new(dots, bare);
    let mut out = Vec::new();
    let mut taken = 0;
    let mut sink = |bytes: &[u8]| -> Result<(), Infallible> {
        out.extend_from_slice(bytes);
        Ok(())
    };
    let mut end = None;
    for piece in pieces {
        let Ok(progress) = lines.push(piece, &mut sink);
        if let Progress::End { consumed } = progress {
            end = Some(taken + consumed);
            break;
        }
        taken += piece.len();
    }
    // Only BDAT ends without a dot.
    if dots == Dots::Verbatim {
        let Ok(()) = lines.finish(&mut sink);
    }
    let refused = lines.must_be_refused();
    (out, end, refused)
}

/// Where the message ends, found in the simplest way.
fn expected_end(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b".\r\n") {
        return Some(3);
    }
    let end = bytes.windows(5).position(|five| five == b"\r\n.\r\n");
    end.map(|at| at + 5)
}

fn has_bare_ending(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| match bytes[at] {
        b'\n' => at == 0 || bytes[at - 1] != b'\r',
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    })
}

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = input;
    let cut = usize::from(cut).min(bytes.len());
    let pieces = [&bytes[..cut], &bytes[cut..]];
    let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
    for dots in [Dots::Stuffed, Dots::Verbatim] {
        for bare in [BareEndings::Refuse, BareEndings::Normalise] {
            let whole = read(&[bytes], dots, bare);
            assert_eq!(whole, read(&pieces, dots, bare), "two pieces differ");
            assert_eq!(whole, read(&bytewise, dots, bare), "single bytes differ");
            let (message, end, refused) = whole;
            match dots {
                Dots::Stuffed => assert_eq!(end, expected_end(bytes)),
                Dots::Verbatim => assert_eq!(end, None),
            }
            match bare {
                // A message that has not ended may break off anywhere.
                _ if dots == Dots::Stuffed && end.is_none() => {}
                BareEndings::Normalise => {
                    assert!(!has_bare_ending(&message), "{message:?}");
                    assert!(!refused);
                }
                BareEndings::Refuse => {
                    let content = &bytes[..end.unwrap_or(bytes.len())];
                    assert_eq!(refused, has_bare_ending(content));
                }
            }
        }
    }
});
