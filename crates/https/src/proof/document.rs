//! A proof as a PDF: pages of plain lines, and the signed data in a comment, so that one file is for people and for
//! programs. The same proof gives the same bytes, which is how a changed text is noticed.

use super::{Proof, Statement};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Lines on a page.
const PAGE_LINES: usize = 54;
/// Characters in a line.
const LINE_CHARS: usize = 92;
/// What stands before the signed data.
const MARK: &str = "%rohrpost-proof ";

/// The proof as a PDF 1.4 file.
pub fn pdf(proof: &Proof) -> Vec<u8> {
    let lines = lines(proof);
    let pages: Vec<&[String]> = lines.chunks(PAGE_LINES).collect();
    // 1 catalogue, 2 list of pages, 3 font, then two objects per page.
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!(
            "<< /Type /Pages /Count {} /Kids [{}] >>",
            pages.len(),
            (0..pages.len())
                .map(|n| format!("{} 0 R ", 4 + 2 * n))
                .collect::<String>()
        ),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>"
            .to_owned(),
    ];
    for (number, page) in pages.iter().enumerate() {
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> \
             /Contents {} 0 R >>",
            5 + 2 * number
        ));
        let shown: String = page
            .iter()
            .map(|line| format!("({}) Tj T*\n", escaped(line)))
            .collect();
        let content = format!("BT /F1 9 Tf 13 TL 50 790 Td\n{shown}ET");
        objects.push(format!(
            "<< /Length {} >>\nstream\n{content}\nendstream",
            content.len()
        ));
    }
    let json = serde_json::to_vec(proof).unwrap_or_default();
    assemble(&objects, &BASE64.encode(json))
}

fn assemble(objects: &[String], data: &str) -> Vec<u8> {
    let mut file = format!("%PDF-1.4\n{MARK}{data}\n");
    let mut places = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        places.push(file.len());
        file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", number + 1));
    }
    let table = file.len();
    let count = objects.len() + 1;
    file.push_str(&format!("xref\n0 {count}\n0000000000 65535 f \n"));
    for place in places {
        file.push_str(&format!("{place:010} 00000 n \n"));
    }
    file.push_str(&format!(
        "trailer << /Size {count} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n"
    ));
    file.into_bytes()
}

/// The JSON that a PDF carries.
pub(super) fn carried(pdf: &[u8]) -> Option<Vec<u8>> {
    let mut lines = pdf.split(|byte| *byte == b'\n');
    let data = lines.nth(1)?.strip_prefix(MARK.as_bytes())?;
    BASE64.decode(data).ok()
}

/// What people read.
fn lines(proof: &Proof) -> Vec<String> {
    let Statement {
        domain,
        host,
        made_at,
        legacy_access,
        services,
        ports,
    } = &proof.statement;
    let mut lines = vec![
        format!("TLS of the mailboxes of {domain}"),
        String::new(),
        format!("Server: {host}"),
        format!("Date:   {made_at}"),
        format!("Access with TLS 1.0, TLS 1.1 or in clear (legacy-access): {legacy_access}"),
        String::new(),
        "What accounts of this domain need to log in:".to_owned(),
    ];
    for needed in services {
        lines.push(format!(
            "  {}: at least {}; nothing in clear: {}",
            needed.service, needed.lowest_tls, needed.no_cleartext
        ));
    }
    lines.push(String::new());
    lines.push("What each port answered when it was tried:".to_owned());
    for port in ports {
        lines.push(format!(
            "  Port {} ({}, {})",
            port.port, port.role, port.mode
        ));
        for tried in &port.tried {
            lines.push(format!("    {}: {}", tried.offered, tried.outcome));
        }
    }
    lines.push(String::new());
    lines.push(format!("Signed with the key {} (Ed25519).", proof.key));
    lines.push("Check this file: rohrpost legacy verify FILE --key KEY".to_owned());
    lines.iter().flat_map(|line| folded(line)).collect()
}

/// A line in pieces that fit on the page.
fn folded(line: &str) -> Vec<String> {
    let characters: Vec<char> = line.chars().collect();
    if characters.is_empty() {
        return vec![String::new()];
    }
    characters
        .chunks(LINE_CHARS)
        .map(|piece| piece.iter().collect())
        .collect()
}

/// ASCII within a PDF string; anything else becomes a question mark.
fn escaped(line: &str) -> String {
    line.chars()
        .flat_map(|c| match c {
            '(' | ')' | '\\' => vec!['\\', c],
            ' '..='~' => vec![c],
            _ => vec!['?'],
        })
        .collect()
}
