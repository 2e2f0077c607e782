//! Cuts a state file into the parts that different crates read, each with every line in its place, so that what they
//! say about a line is true of the file. Knows of TOML only where statements, strings and comments begin and end.

/// The sections that are not the directory's, in the order in which they are written.
const SECTIONS: [&str; 6] = ["policy", "identity", "client", "rules", "rollout", "voice"];

/// A section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Policy,
    Identity,
    Client,
    Rules,
    Rollout,
    Voice,
}

/// A file in parts.
#[derive(Default)]
pub(super) struct Parts {
    /// What is nobody else's: the directory, and what nobody knows.
    pub(super) directory: String,
    others: [Option<Part>; SECTIONS.len()],
}

impl Parts {
    /// What the file says of one section; `None`: nothing.
    pub(super) fn of(&self, section: Section) -> Option<&str> {
        let part = self.others.get(section as usize)?.as_ref()?;
        Some(&part.text)
    }
}

#[derive(Default)]
struct Part {
    text: String,
    lines: usize,
}

impl Part {
    /// Puts the line with this number (from 0) behind as many empty ones as stand before it.
    fn push(&mut self, number: usize, line: &str) {
        while self.lines < number {
            self.text.push('\n');
            self.lines += 1;
        }
        self.text.push_str(line);
        self.lines += 1;
    }
}

/// Cuts it.
pub(super) fn cut(text: &str) -> Parts {
    let mut directory = Part::default();
    let mut parts = Parts::default();
    let mut reader = Reader::default();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        match reader.section_of(line) {
            None => directory.push(number, line),
            Some(section) => {
                if let Some(part) = parts.others.get_mut(section) {
                    part.get_or_insert_default().push(number, line);
                }
            }
        }
    }
    parts.directory = directory.text;
    parts
}

/// Where the end of a line was.
#[derive(Default)]
struct Reader {
    /// The section of the table, or of the statement before any table.
    section: Option<usize>,
    in_table: bool,
    /// The quote that ends a text of several lines.
    text: Option<u8>,
    /// Brackets and braces of a value that are open.
    open: usize,
}

impl Reader {
    fn section_of(&mut self, line: &str) -> Option<usize> {
        let start = line.trim_start();
        if self.text.is_some() || self.open > 0 {
            self.read(line.as_bytes());
        } else if start.starts_with('[') {
            self.in_table = true;
            self.section = named(start.trim_start_matches(['[', ' ', '\t']));
        } else {
            if !self.in_table && !start.is_empty() && !start.starts_with('#') {
                self.section = named(start);
            }
            self.read(line.as_bytes());
        }
        self.section
    }

    /// Reads on to the end of the line.
    fn read(&mut self, line: &[u8]) {
        let mut rest = line;
        while let Some((byte, after)) = rest.split_first() {
            rest = match (self.text, byte) {
                (Some(quote), byte) if *byte == quote && begins_three(rest) => {
                    self.text = None;
                    // Up to two quotes of the text itself stand right before the three that end it.
                    let quotes = rest.iter().take_while(|b| **b == quote).count();
                    rest.get(quotes.min(5)..).unwrap_or_default()
                }
                (Some(b'"'), b'\\') => after.get(1..).unwrap_or_default(),
                (Some(_), _) => after,
                (None, b'#') => return,
                (None, b'"' | b'\'') if begins_three(rest) => {
                    self.text = Some(*byte);
                    rest.get(3..).unwrap_or_default()
                }
                (None, b'"' | b'\'') => behind_text(*byte, after),
                (None, b'[' | b'{') => {
                    self.open += 1;
                    after
                }
                (None, b']' | b'}') => {
                    self.open = self.open.saturating_sub(1);
                    after
                }
                (None, _) => after,
            };
        }
    }
}

fn begins_three(rest: &[u8]) -> bool {
    rest.starts_with(b"\"\"\"") || rest.starts_with(b"'''")
}

/// What stands behind a text of one line that has begun.
fn behind_text(quote: u8, mut rest: &[u8]) -> &[u8] {
    while let Some((byte, after)) = rest.split_first() {
        rest = match *byte {
            b'\\' if quote == b'"' => after.get(1..).unwrap_or_default(),
            byte if byte == quote => return after,
            _ => after,
        };
    }
    rest
}

/// The section that a header or a key begins with.
fn named(start: &str) -> Option<usize> {
    let end = start.find(['.', '=', ']', ' ', '\t', '\r', '\n']);
    let name = start.get(..end.unwrap_or(start.len()))?;
    let name = name.trim_matches(['"', '\'']);
    SECTIONS.iter().position(|section| *section == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"# a file
voice.phone = "1"
[[domain]]
name = "firma.test"

[[policy]]
scope = "domain:Firma.TEST"
value = """remove X-A '''
[add] is no table
[[account]]
"""
[[ rollout ]] # with a comment: """
slug = "x"
[rollout.title]
de = '''
[[account]]'''
[[account]]
login = "anna@firma.test" # """
note = 'a """ b'
"#;

    #[test]
    fn every_part_keeps_its_lines_in_their_places() {
        let parts = cut(FILE);
        let lines: Vec<_> = FILE.lines().collect();
        let texts = [
            Some(parts.directory.as_str()),
            parts.of(Section::Policy),
            parts.of(Section::Rollout),
            parts.of(Section::Voice),
        ];
        let mut found = 0;
        for text in texts.into_iter().flatten() {
            for (number, line) in text.lines().enumerate() {
                assert!(line.is_empty() || line == lines[number], "{number}: {line}");
                found += usize::from(!line.is_empty());
            }
        }
        let all = lines.iter().filter(|line| !line.is_empty()).count();
        assert_eq!(found, all);
        assert_eq!(parts.of(Section::Identity), None);
        assert!(!parts.directory.contains("policy") && !parts.directory.contains("rollout"));
        assert_eq!(parts.directory.matches("[[account]]").count(), 1);
        let policy = parts.of(Section::Policy).unwrap_or_default();
        assert_eq!(policy.matches("[[account]]").count(), 1);
        assert_eq!(parts.of(Section::Voice), Some("\nvoice.phone = \"1\"\n"));
    }

    #[test]
    fn lists_before_the_first_table_go_with_their_name() {
        let parts =
            cut("policy = [\n  { scope = \"[\" },\n]\nrules=[]\n\"client\" = []\n[[domain]]\n");
        let policy = "policy = [\n  { scope = \"[\" },\n]\n";
        assert_eq!(parts.of(Section::Policy), Some(policy));
        assert_eq!(parts.of(Section::Rules), Some("\n\n\nrules=[]\n"));
        assert_eq!(parts.of(Section::Client), Some("\n\n\n\n\"client\" = []\n"));
        assert_eq!(parts.directory, "\n\n\n\n\n[[domain]]\n");
        // A name that only begins like ours is the directory's, which refuses it.
        assert!(cut("[[rulesets]]\n").directory.contains("rulesets"));
    }

    #[test]
    fn quotes_at_the_end_of_a_text_are_its_own() {
        let parts = cut("[voice]\nphone = \"\"\"a\"\"\"\"\"\n[[domain]]\n");
        assert_eq!(parts.directory, "\n\n[[domain]]\n");
        let parts = cut("[voice]\nphone = \"\"\"a\\\"\"\"\n[[x]]\n\"\"\"\n[[domain]]\n");
        assert_eq!(parts.directory, "\n\n\n\n[[domain]]\n");
    }
}
