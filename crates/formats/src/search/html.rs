//! Takes the text out of HTML, lightly: tags, comments, styles and scripts are dropped, the common
//! entities are read. Good enough to search in; not a parser, and nothing it yields is ever shown.

use super::Folded;

/// Bytes of a tag's name or of an entity that are looked at.
const NAME_BYTES_MAX: usize = 32;

/// Tags that do not separate words.
const INLINE_TAGS: [&str; 22] = [
    "a", "abbr", "b", "bdi", "bdo", "big", "code", "em", "font", "i", "ins", "kbd", "mark", "o:p",
    "s", "small", "span", "strong", "sub", "sup", "u", "wbr",
];

const ENTITIES: [(&str, char); 27] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("shy", '\u{ad}'),
    ("auml", 'ä'),
    ("ouml", 'ö'),
    ("uuml", 'ü'),
    ("Auml", 'Ä'),
    ("Ouml", 'Ö'),
    ("Uuml", 'Ü'),
    ("szlig", 'ß'),
    ("eacute", 'é'),
    ("egrave", 'è'),
    ("agrave", 'à'),
    ("ccedil", 'ç'),
    ("euro", '€'),
    ("copy", '©'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("hellip", '…'),
    ("bdquo", '„'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("rsquo", '’'),
];

#[derive(Default)]
enum State {
    #[default]
    Text,
    /// After `<`; the tag so far.
    Tag(String),
    /// Inside `<!-- -->`; how many dashes came last.
    Comment(u8),
    /// Inside style or script, up to the end tag of this name; what came since the last `<`.
    Raw(&'static str, String),
    /// After `&`; the name so far.
    Entity(String),
}

/// A stripping under way.
#[derive(Default)]
pub(super) struct Html {
    state: State,
}

impl Html {
    pub(super) fn push(&mut self, text: &str, out: &mut Folded) {
        for letter in text.chars() {
            self.letter(letter, out);
        }
    }

    fn letter(&mut self, letter: char, out: &mut Folded) {
        match &mut self.state {
            State::Text => match letter {
                '<' => self.state = State::Tag(String::new()),
                '&' => self.state = State::Entity(String::new()),
                _ => out.push(letter),
            },
            State::Tag(tag) => {
                let begins = tag.is_empty();
                if begins && !letter.is_ascii_alphabetic() && !matches!(letter, '/' | '!' | '?') {
                    // A lone `<` is text.
                    out.push('<');
                    self.state = State::Text;
                    return self.letter(letter, out);
                }
                if letter == '>' {
                    self.state = end_of_tag(tag, out);
                } else if tag.len() < NAME_BYTES_MAX {
                    tag.push(letter.to_ascii_lowercase());
                    if tag == "!--" {
                        self.state = State::Comment(0);
                    }
                }
            }
            State::Comment(dashes) => match letter {
                '-' => *dashes = dashes.saturating_add(1),
                '>' if *dashes >= 2 => self.state = State::Text,
                _ => *dashes = 0,
            },
            State::Raw(name, since) => match letter {
                '<' => {
                    since.clear();
                    since.push('<');
                }
                '>' if since
                    .strip_prefix("</")
                    .is_some_and(|tag| tag.trim_end() == *name) =>
                {
                    self.state = State::Text;
                }
                _ if since.is_empty() || since.len() >= NAME_BYTES_MAX => since.clear(),
                _ => since.push(letter.to_ascii_lowercase()),
            },
            State::Entity(name) => {
                if letter == ';' {
                    end_of_entity(name, out);
                    self.state = State::Text;
                } else if name.len() < NAME_BYTES_MAX
                    && (letter.is_ascii_alphanumeric() || letter == '#')
                {
                    name.push(letter);
                } else {
                    out.push('&');
                    out.push_str(name);
                    self.state = State::Text;
                    self.letter(letter, out);
                }
            }
        }
    }
}

fn end_of_tag(tag: &str, out: &mut Folded) -> State {
    let name = tag.trim_start_matches('/');
    let name_end = name.find(|letter: char| letter.is_whitespace() || letter == '/');
    let name = name.get(..name_end.unwrap_or(name.len())).unwrap_or(name);
    if !INLINE_TAGS.contains(&name) {
        out.push_space();
    }
    match name {
        "style" if !tag.starts_with('/') => State::Raw("style", String::new()),
        "script" if !tag.starts_with('/') => State::Raw("script", String::new()),
        _ => State::Text,
    }
}

fn end_of_entity(name: &str, out: &mut Folded) {
    let number = match name.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => digits.parse().ok(),
        },
        None => None,
    };
    let named = ENTITIES.iter().find(|(entity, _)| *entity == name);
    match number
        .and_then(char::from_u32)
        .or(named.map(|&(_, letter)| letter))
    {
        Some(letter) => out.push(letter),
        None => {
            out.push('&');
            out.push_str(name);
            out.push(';');
        }
    }
}
