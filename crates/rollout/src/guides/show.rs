//! A rendered guide as plain text and as an HTML fragment. Pure; whatever was filled in is escaped.

use super::{Rendered, Section};
use std::fmt::Write as _;

impl Rendered {
    /// Plain text: the title, then headings, paragraphs and numbered steps, not wrapped.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{}\n{}\n",
            self.title,
            "=".repeat(self.title.chars().count())
        );
        for section in &self.sections {
            text.push('\n');
            text.push_str(&section.to_text());
        }
        text
    }

    /// The sections as HTML without the title: `<section>` with `<h2>`, `<p>` and `<ol>`. Never a script, a style
    /// or a link to elsewhere.
    pub fn to_html(&self) -> String {
        self.sections.iter().map(Section::to_html).collect()
    }
}

impl Section {
    /// Plain text, not wrapped.
    pub fn to_text(&self) -> String {
        let Self {
            heading,
            paragraphs,
            steps,
            ..
        } = self;
        let mut text = format!("{heading}\n{}\n", "-".repeat(heading.chars().count()));
        for paragraph in paragraphs {
            let _strings_take_everything = writeln!(text, "{paragraph}");
        }
        for (index, step) in steps.iter().enumerate() {
            let _strings_take_everything = writeln!(text, "  {}. {step}", index + 1);
        }
        text
    }

    /// `<section>` with what is in it.
    pub fn to_html(&self) -> String {
        let mut html = format!("<section>\n<h2>{}</h2>\n", escaped(&self.heading));
        for paragraph in &self.paragraphs {
            let _strings_take_everything = writeln!(html, "<p>{}</p>", escaped(paragraph));
        }
        if !self.steps.is_empty() {
            html.push_str("<ol>\n");
            for step in &self.steps {
                let _strings_take_everything = writeln!(html, "<li>{}</li>", escaped(step));
            }
            html.push_str("</ol>\n");
        }
        if let Some(picture) = self.picture {
            // The place of a picture, for whoever has one; readers without see nothing of it.
            let _strings_take_everything = writeln!(
                html,
                "<figure class=\"picture\" data-picture=\"{}\" hidden></figure>",
                escaped(picture)
            );
        }
        html.push_str("</section>\n");
        html
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
