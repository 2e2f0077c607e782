//! Feeds bytes to the grammar as a session does and notes what they come to. For fuzz targets and
//! property tests; a session does the same with a stream in the place of a slice.

use super::frame::{Assembler, Bounds, Outcome, Then};

/// Everything `input` comes to if it arrives in pieces of the sizes `pieces`, the rest at once.
pub fn feed(input: &[u8], pieces: &[usize], bounds: &Bounds) -> Vec<Outcome> {
    let mut seen = Vec::new();
    let (mut start, mut end, mut pieces) = (0, 0, pieces.iter().copied());
    let mut assembler = Assembler::default();
    while start < input.len() {
        let outcome = assembler.step(input.get(start..end).unwrap_or_default(), bounds);
        match &outcome {
            Outcome::NeedMore if end == input.len() => break,
            Outcome::NeedMore => {
                let piece = pieces.next().unwrap_or(input.len()).max(1);
                end = input.len().min(end.saturating_add(piece));
                continue;
            }
            Outcome::NeedLiteral(_) => {}
            Outcome::Append {
                consumed, literal, ..
            } => {
                assembler = Assembler::default();
                let data = usize::try_from(literal.bytes).unwrap_or(usize::MAX);
                start = input.len().min((start + consumed).saturating_add(data));
                end = end.max(start);
            }
            Outcome::Done { consumed, .. } => {
                assembler = Assembler::default();
                start += consumed;
            }
            Outcome::Bad { consumed, then, .. } => {
                assembler = Assembler::default();
                start += consumed;
                if *then == Then::Close {
                    seen.push(outcome);
                    break;
                }
            }
        }
        seen.push(outcome);
    }
    seen
}

/// One run of a fuzz target: any bytes, in one piece and byte by byte, before and after login.
///
/// # Panics
/// Where the pieces make a difference, which is what the fuzzer is to find.
pub fn fuzz_input(input: &[u8]) {
    for bounds in [Bounds::STRANGER, Bounds::KNOWN] {
        // A command that is too long is given up at a different byte, so only shorter ones compare.
        let whole = feed(input, &[], &bounds);
        let bytewise = feed(input, &vec![1; input.len()], &bounds);
        if input.len() <= bounds.command_bytes_max {
            assert_eq!(whole, bytewise, "the pieces made a difference");
        }
    }
}
