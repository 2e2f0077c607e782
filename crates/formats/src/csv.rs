//! Tables as comma-separated values (RFC 4180), for people who open them in a spreadsheet: no cell becomes a
//! formula. Pure; previews and audits write them.

/// Appends one record and its line end.
///
/// A cell that a spreadsheet would take for a formula begins with an apostrophe: parts of it come from mail
/// programs and senders, whom nobody trusts. Control characters become spaces, line ends within a cell stay.
pub fn push(sheet: &mut String, cells: &[&str]) {
    for (n, cell) in cells.iter().enumerate() {
        if n > 0 {
            sheet.push(',');
        }
        push_cell(sheet, cell);
    }
    // RFC 4180 §2: records end in CRLF.
    sheet.push_str("\r\n");
}

fn push_cell(sheet: &mut String, cell: &str) {
    let is_formula = cell
        .trim_start_matches(|c: char| c.is_whitespace() || c.is_control())
        .starts_with(['=', '+', '-', '@'])
        && cell != "-";
    let quoted = is_formula || cell.contains(['"', ',', '\r', '\n', ';', '\t', '\'']);
    if !quoted {
        sheet.extend(cell.chars().map(plain));
        return;
    }
    // RFC 4180 §2: a quote within quotes is doubled.
    sheet.push('"');
    if is_formula {
        sheet.push('\'');
    }
    for c in cell.chars() {
        if c == '"' {
            sheet.push('"');
        }
        sheet.push(plain(c));
    }
    sheet.push('"');
}

fn plain(c: char) -> char {
    match c {
        '\r' | '\n' => c,
        c if c.is_control() => ' ',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cells: &[&str]) -> String {
        let mut sheet = String::new();
        push(&mut sheet, cells);
        sheet
    }

    #[test]
    fn plain_cells_stay_plain() {
        assert_eq!(
            line(&["anna@firma.test", "", "-", "7"]),
            "anna@firma.test,,-,7\r\n"
        );
    }

    #[test]
    fn commas_quotes_and_line_ends_are_quoted() {
        assert_eq!(
            line(&["a,b", "say \"no\"", "x\ny", "c"]),
            "\"a,b\",\"say \"\"no\"\"\",\"x\ny\",c\r\n"
        );
    }

    #[test]
    fn no_cell_is_a_formula() {
        for hostile in [
            "=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\r=1", "\u{a0}=1", "\0=1",
        ] {
            let line = line(&[hostile, "x"]);
            assert!(line.starts_with("\"'"), "{line:?}");
        }
        assert_eq!(line(&["=\"a\""]), "\"'=\"\"a\"\"\"\r\n");
    }

    #[test]
    fn control_characters_go() {
        assert_eq!(line(&["a\0b\x1b[31m"]), "a b [31m\r\n");
    }
}
