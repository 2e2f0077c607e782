//! What the grammar must take and must refuse, and what holds for any input: it never panics, and
//! the pieces in which bytes arrive make no difference.

use super::command::{Access, Change, Echo, Flag, Numbering};
use super::feed::{feed, fuzz_input};
use super::fetch::{Item, SectionName, Seen};
use super::frame::{Assembler, Bounds, Literal, Outcome, Sync, Then};
use super::search::{DateOf, Field, FlagKey, Key};
use super::{Command, append, command};
use proptest::prelude::*;

fn parse(text: &str) -> Command {
    let request = command::parse(text.as_bytes());
    request
        .unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
        .command
}

fn refuse(text: &str) -> &'static str {
    match command::parse(text.as_bytes()) {
        Ok(request) => panic!("{text} was taken as {request:?}"),
        Err(fault) => fault.text,
    }
}

#[test]
fn takes_the_simple_commands() {
    assert_eq!(parse("a1 noop"), Command::Noop);
    assert_eq!(parse("a1 Capability"), Command::Capability);
    assert_eq!(
        parse("a1 SELECT inbox"),
        Command::Select {
            mailbox: b"inbox".to_vec(),
            access: Access::ReadWrite,
            condstore: false,
        }
    );
    assert_eq!(
        parse("a1 LOGIN \"a \\\"b\\\" \\\\\" {3}\r\nx y"),
        Command::Login {
            user: b"a \"b\" \\".to_vec(),
            password: b"x y".to_vec()
        }
    );
    assert_eq!(
        parse("a1 AUTHENTICATE plain ="),
        Command::Authenticate {
            mechanism: "PLAIN".into(),
            initial: Some(b"=".to_vec())
        }
    );
    assert_eq!(parse("a1 ID NIL"), Command::Id(Vec::new()));
    assert_eq!(
        parse("a1 ID (\"name\" \"x\" \"os\" NIL)"),
        Command::Id(vec![
            (b"name".to_vec(), Some(b"x".to_vec())),
            (b"os".to_vec(), None)
        ])
    );
    assert_eq!(
        parse("a1 CREATE Foo (USE (\\Archive))"),
        Command::Create {
            mailbox: b"Foo".to_vec(),
            special_use: Some("\\Archive".into())
        }
    );
}

#[test]
fn refuses_what_the_grammar_does_not_have() {
    for text in [
        "",
        "a1",
        "a1 ",
        "+ NOOP",
        "a+1 NOOP",
        "a1  NOOP",
        "a1 NOOP ",
        "a1 NOOP x",
        "a1 SELECT",
        "a1 SELECT \"x",
        "a1 SELECT \"x\\y\"",
        "a1 SELECT x y",
        "a1 FETCH 0 FLAGS",
        "a1 FETCH 1, FLAGS",
        "a1 FETCH 4294967296 FLAGS",
        "a1 FETCH 1 ()",
        "a1 FETCH 1 (FLAGS",
        "a1 FETCH 1 NONSENSE",
        "a1 STORE 1 FLAGS (\\Recent)",
        "a1 STORE 1 FLAGS (\\Nonsense)",
        "a1 STORE 1 FLAGGS (\\Seen)",
        "a1 SEARCH",
        "a1 SEARCH NONSENSE",
        "a1 SEARCH NOT",
        "a1 SEARCH ()",
        "a1 UID NOOP",
        "a1 STATUS x ()",
        "a1 STATUS x (NONSENSE)",
        "a1 LOGIN x {5}\r\nabc",
    ] {
        refuse(text);
    }
}

#[test]
fn takes_flags_of_store_with_and_without_parentheses() {
    let Command::Store(store) = parse("a UID STORE 1:5,9:* +flags.silent \\seen $Forwarded") else {
        panic!("no STORE");
    };
    assert_eq!(
        (store.numbering, store.change, store.echo),
        (Numbering::Uid, Change::Add, Echo::Silent)
    );
    assert_eq!(
        store.flags,
        [Flag::Seen, Flag::Keyword("$Forwarded".into())]
    );
    assert_eq!(store.set.resolve(7).collect::<Vec<_>>(), [(1, 5), (7, 9)]);
    assert_eq!(store.set.highest(7), 9);
    let Command::Store(store) = parse("a STORE 1 FLAGS ()") else {
        panic!("no STORE");
    };
    assert_eq!((store.change, store.flags.len()), (Change::Replace, 0));
}

#[test]
fn takes_what_clients_fetch() {
    let Command::Fetch(fetch) = parse("a FETCH 1 (UID BODY.PEEK[]<0.100> RFC822.SIZE UID)") else {
        panic!("no FETCH");
    };
    assert_eq!(fetch.items.len(), 3);
    let Some(Item::Section(section)) = fetch.items.get(1) else {
        panic!("no section");
    };
    assert_eq!(section.partial, Some((0, 100)));
    assert_eq!(
        (section.seen, section.name),
        (Seen::Peeks, SectionName::Body)
    );
    let Command::Fetch(fetch) = parse("a FETCH 1:* FULL") else {
        panic!("no FETCH");
    };
    assert_eq!(fetch.items.last(), Some(&Item::Body));
    parse("a FETCH 1 (BODY.PEEK[HEADER.FIELDS (From {2}\r\nTo)] BODY[1.2.MIME] BODY)");
}

#[test]
fn takes_search_keys_and_bounds_their_nesting() {
    let Command::Search(search) = parse(
        "a UID SEARCH RETURN (MIN COUNT) CHARSET utf-8 OR (SEEN 1:3) NOT FROM x SINCE 1-Feb-2026",
    ) else {
        panic!("no SEARCH");
    };
    assert_eq!(search.charset.as_deref(), Some("UTF-8"));
    assert_eq!(search.numbering, Numbering::Uid);
    assert!(
        search
            .returns
            .is_some_and(|returns| returns.min && !returns.all)
    );
    let [Key::Or(either), Key::Since(DateOf::Arrival, _)] = search.keys.as_slice() else {
        panic!("other keys: {:?}", search.keys);
    };
    assert!(matches!(&either.0, Key::And(keys) if keys[0] == Key::Has(FlagKey::Seen)));
    assert_eq!(
        either.1,
        Key::Not(Box::new(Key::Field(Field::From, b"x".to_vec())))
    );
    assert!(refuse(&format!("a SEARCH {}ALL", "NOT ".repeat(40))).starts_with("[LIMIT]"));
    assert!(refuse(&format!("a SEARCH {}", "(".repeat(1000))).starts_with("[LIMIT]"));
    assert!(refuse(&format!("a SEARCH ALL{}", " TEXT x".repeat(40))).starts_with("[LIMIT]"));
}

#[test]
fn takes_the_lists_of_rfc_5258() {
    let Command::List(list) =
        parse("a LIST (SUBSCRIBED) \"\" (% INBOX) RETURN (CHILDREN SPECIAL-USE STATUS (MESSAGES))")
    else {
        panic!("no LIST");
    };
    assert!(list.extended && list.select_subscribed && list.return_special_use);
    assert_eq!(list.patterns, [b"%".to_vec(), b"INBOX".to_vec()]);
    assert_eq!(list.return_status.len(), 1);
    assert!(!matches!(parse("a LIST \"\" *"), Command::List(list) if list.extended));
    refuse("a LIST (RECURSIVEMATCH) \"\" *");
}

#[test]
fn a_literal_is_asked_for_once() {
    let mut assembler = Assembler::default();
    let literal = Literal {
        bytes: 3,
        sync: Sync::Waits,
    };
    let start = b"a LOGIN {3}\r\n";
    assert_eq!(
        assembler.step(start, &Bounds::STRANGER),
        Outcome::NeedLiteral(literal)
    );
    assert_eq!(assembler.step(start, &Bounds::STRANGER), Outcome::NeedMore);
    let whole = b"a LOGIN {3}\r\nabc {1+}\r\nd\r\nrest";
    let Outcome::NeedLiteral(second) = assembler.step(whole, &Bounds::STRANGER) else {
        // A literal that is already under way is mentioned only if the peer waits.
        return;
    };
    assert_eq!(second.sync, Sync::Sends);
}

#[test]
fn a_whole_command_with_sent_literals_needs_one_step() {
    let input = b"a LOGIN {3+}\r\nabc {1+}\r\nd\r\nrest";
    let Outcome::Done { request, consumed } = Assembler::default().step(input, &Bounds::STRANGER)
    else {
        panic!("not done");
    };
    assert_eq!(consumed, input.len() - 4);
    assert_eq!(
        request.command,
        Command::Login {
            user: b"abc".to_vec(),
            password: b"d".to_vec()
        }
    );
}

#[test]
fn large_literals_are_refused_before_a_byte_of_them_is_held() {
    let bad = |input: &[u8]| match Assembler::default().step(input, &Bounds::STRANGER) {
        Outcome::Bad {
            tag, fault, then, ..
        } => {
            assert_eq!(tag.as_deref(), Some("a"));
            (fault.text.starts_with("[TOOBIG]"), then)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(bad(b"a LOGIN {1000000000}\r\n"), (true, Then::Continue));
    assert_eq!(bad(b"a LOGIN {1000000000+}\r\n"), (true, Then::Close));
    assert_eq!(
        bad(b"a LOGIN {99999999999999999999999999}\r\n"),
        (true, Then::Continue)
    );
    let long = [b"a NOOP ".to_vec(), vec![b'x'; 5000]].concat();
    assert_eq!(bad(&long), (false, Then::Close));
}

#[test]
fn the_message_of_append_is_left_to_the_caller() {
    let input = b"a APPEND Sent (\\Seen $x) {310}\r\nFrom:";
    let Outcome::Append {
        tag,
        head,
        literal,
        consumed,
    } = Assembler::default().step(input, &Bounds::KNOWN)
    else {
        panic!("no APPEND");
    };
    assert_eq!(
        (&*tag, literal.bytes, consumed),
        ("a", 310, input.len() - 5)
    );
    let (mailbox, message) = head.unwrap_or_else(|fault| panic!("{fault:?}"));
    assert_eq!(mailbox, b"Sent");
    assert_eq!(message.flags, [Flag::Seen, Flag::Keyword("$x".into())]);

    let input = b"a APPEND {4+}\r\nSent {310+}\r\n";
    let Outcome::Append {
        head: Ok((mailbox, _)),
        literal,
        ..
    } = Assembler::default().step(input, &Bounds::KNOWN)
    else {
        panic!("no APPEND");
    };
    assert_eq!((mailbox, literal.sync), (b"Sent".to_vec(), Sync::Sends));

    let input = b"a APPEND Sent (\\Recent) {310}\r\n";
    let Outcome::Append { head: Err(_), .. } = Assembler::default().step(input, &Bounds::KNOWN)
    else {
        panic!("a fault in the head is told before the message comes");
    };
}

#[test]
fn an_append_goes_on_or_ends() {
    assert_eq!(append::more(b""), Ok(append::More::End));
    let Ok(append::More::Message(message, literal)) = append::more(b" (\\Draft) {7+}") else {
        panic!("no message");
    };
    assert_eq!((message.flags, literal.bytes), (vec![Flag::Draft], 7));
    assert!(append::more(b" x").is_err());
    assert!(append::more(b"x {7}").is_err());
}

/// Inputs that look like IMAP often enough to get past the first word.
pub(in crate::imap) fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "a",
        " ",
        "\r\n",
        "\n",
        "{3}\r\n",
        "{3+}\r\n",
        "{0}",
        "abc",
        "FETCH",
        "1:*,3",
        "(",
        ")",
        "UID",
        "BODY[",
        "]",
        "<0.5>",
        "HEADER.FIELDS",
        "\"",
        "\\Seen",
        "\\",
        "SEARCH",
        "NOT",
        "OR",
        "APPEND",
        "LOGIN",
        "STORE",
        "+FLAGS",
        "(CHANGEDSINCE 1)",
        "(UNCHANGEDSINCE 1)",
        "MODSEQ",
        "LIST",
        "*",
        "%",
        "1-Feb-2026",
        "SINCE",
        "NOOP",
        "a NOOP\r\n",
        "a APPEND x {5}\r\n",
        "a LOGIN x y\r\n",
        "\0",
        "\u{e4}",
        "~{5}",
        "99999999999999999999",
    ]);
    prop::collection::vec(words, 0..40).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(input in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_input(&input);
        let _ = command::parse(&input);
    }

    #[test]
    fn pieces_make_no_difference(input in conversation(),
                                 pieces in prop::collection::vec(1usize..9, 0..60)) {
        let whole = feed(&input, &[], &Bounds::STRANGER);
        prop_assert_eq!(&whole, &feed(&input, &pieces, &Bounds::STRANGER));
        prop_assert_eq!(&whole, &feed(&input, &[1; 2000], &Bounds::STRANGER));
    }
}
