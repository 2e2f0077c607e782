//! Writing XML: elements one after the other, every text escaped, nothing in it that XML 1.0 does not allow (§2.2).

use quick_xml::escape::escape;
use std::borrow::Cow;

/// A document in the making. Elements are closed in the order in which they were opened.
pub(crate) struct Document {
    text: String,
    open: Vec<&'static str>,
}

impl Document {
    /// One that begins with `prologue` after its declaration.
    pub(crate) fn new(prologue: &str) -> Self {
        Self {
            text: format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{prologue}"),
            open: Vec::new(),
        }
    }

    fn indent(&mut self) {
        for _ in &self.open {
            self.text.push_str("  ");
        }
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.indent();
        self.text.push('<');
        self.text.push_str(name);
        for (attribute, value) in attributes {
            self.text
                .push_str(&format!(" {attribute}=\"{}\"", written(value)));
        }
        self.text.push('>');
    }

    /// Begins an element that has others in it.
    pub(crate) fn open(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.text.push('\n');
        self.open.push(name);
    }

    /// Ends the element that was begun last.
    pub(crate) fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.indent();
            self.text.push_str(&format!("</{name}>\n"));
        }
    }

    /// An element with a text.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.text_with(name, &[], text);
    }

    /// The same with attributes.
    pub(crate) fn text_with(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.start(name, attributes);
        self.text.push_str(&written(text));
        self.text.push_str(&format!("</{name}>\n"));
    }

    /// An element with nothing in it.
    pub(crate) fn empty(&mut self, name: &str) {
        self.indent();
        self.text.push_str(&format!("<{name}/>\n"));
    }

    /// The document, with what is still open closed.
    pub(crate) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text
    }
}

/// Escaped, and without characters no XML may have.
fn written(text: &str) -> String {
    let allowed = |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    let kept: Cow<'_, str> = match text.chars().all(allowed) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.chars().filter(|c| allowed(*c)).collect()),
    };
    escape(kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_elements_closed() {
        let mut made = Document::new("");
        made.open("a", &[("x", "\"<&")]);
        made.text("b", "1 < 2 & \u{0}'3'");
        made.empty("c");
        assert_eq!(
            made.finish(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a x=\"&quot;&lt;&amp;\">\n  \
             <b>1 &lt; 2 &amp; &apos;3&apos;</b>\n  <c/>\n</a>\n"
        );
    }
}
