"""Python's imaplib against the demo provider: every command it knows, and IDLE with its own lines."""

import imaplib
import time

from provider import fails, here, ok, refused, same

SIMPLE = """From: Otto <otto@example.org>
To: anna@firma.test
Subject: simple
Date: Tue, 14 Nov 2023 22:13:20 +0100
Message-ID: <1@example.org>

one line
two lines
"""
MULTIPART = """From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>
To: anna@firma.test, "B, C" <bc@example.org>
Cc: carla@privat.test
Subject: =?utf-8?q?Rechnung_f=C3=BCr_M=C3=A4rz?=
Date: Wed, 15 Nov 2023 08:00:00 +0000
Message-ID: <2@example.org>
In-Reply-To: <1@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

preamble
--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe
--b
Content-Type: application/pdf; name="x.pdf"
Content-Disposition: attachment; filename="x.pdf"
Content-Transfer-Encoding: base64

AAEC
--b
Content-Type: message/rfc822

From: inner@example.org
Subject: inner

inner text
--b--
"""


def folders(imap):
    """The names and attributes LIST gives."""
    rows = {}
    for row in ok(imap.list()):
        attributes, rest = row.decode().split(") ", 1)
        rows[rest.split(" ", 1)[1].strip('"')] = attributes.lstrip("(").split()
    return rows


def check_login(provider):
    imap = imaplib.IMAP4("localhost", provider.ports["imap"], timeout=30)
    assert "LOGINDISABLED" in imap.capabilities, imap.capabilities
    assert not any(c.startswith("AUTH=") for c in imap.capabilities), imap.capabilities
    account = provider.accounts["anna"]
    fails(imaplib.IMAP4.error, imap.login, account["address"], account["password"])
    ok(imap.starttls(provider.tls))
    assert "LOGINDISABLED" not in imap.capabilities, imap.capabilities
    assert "AUTH=PLAIN" in imap.capabilities, imap.capabilities
    text = fails(imaplib.IMAP4.error, imap.login, account["address"], "wrong")
    assert "AUTHENTICATIONFAILED" in text, text
    plain = f"\0{account['address']}\0{account['password']}".encode()
    ok(imap.authenticate("PLAIN", lambda _: plain))
    same(ok(imap.namespace()), [b'(("" "/")) NIL NIL'])
    same(imap.logout()[0], "BYE")


def check_folders(imap):
    special = {a: name for name, attributes in folders(imap).items() for a in attributes}
    for use in ["\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"]:
        assert use in special, special
    ok(imap.create("Work"))
    ok(imap.create("Work/2023"))
    ok(imap.create('"a (b)"'))
    refused(imap.create("Work"))
    refused(imap.create("INBOX"))
    refused(imap.delete("INBOX"))
    refused(imap.delete("Nowhere"))
    assert "\\HasChildren" in folders(imap)["Work"], folders(imap)
    ok(imap.rename("Work", "Done"))
    names = folders(imap)
    assert "Done" in names and "Done/2023" in names and "Work" not in names, names
    refused(imap.rename("Nowhere", "There"))
    refused(imap.rename("Done", '"a (b)"'))
    ok(imap.subscribe("Done/2023"))
    subscribed = [row for row in ok(imap.lsub()) if b"Done/2023" in row]
    same(len(subscribed), 1)
    ok(imap.unsubscribe("Done/2023"))
    assert not any(b"Done/2023" in row for row in ok(imap.lsub()) if row)
    same(ok(imap.list('""', '""')), [b'(\\Noselect) "/" ""'])
    same([row for row in ok(imap.list('""', "Do%"))], [b'(\\HasChildren) "/" Done'])
    ok(imap.delete("Done/2023"))
    ok(imap.delete("Done"))
    ok(imap.delete('"a (b)"'))
    refused(imap.select("Done"))


def check_append(imap):
    when = '"14-Nov-2023 22:13:20 +0100"'
    for text in [SIMPLE, MULTIPART]:
        data = ok(imap.append("Archive", "(\\Seen $Forwarded)", when, text.encode()))
        assert b"APPENDUID" in data[0], data
    refused(imap.append("Nowhere", "", when, b"x: y\r\n\r\n"))
    same(ok(imap.select("Archive")), [b"2"])
    same(ok(imap.fetch("1", "(INTERNALDATE)")), [b'1 (INTERNALDATE "14-Nov-2023 21:13:20 +0000")'])
    assert b"\\Seen" in ok(imap.fetch("1", "(FLAGS)"))[0]
    same(ok(imap.status("Archive", "(MESSAGES UNSEEN UIDNEXT)")),
         [b"Archive (MESSAGES 2 UNSEEN 0 UIDNEXT 3)"])


def check_fetch(imap):
    envelope = ok(imap.fetch("2", "(ENVELOPE)"))[0].decode()
    same(envelope, '2 (ENVELOPE ("Wed, 15 Nov 2023 08:00:00 +0000" "=?utf-8?q?Rechnung_f=C3=BCr_M=C3=A4rz?=" '
         '(("=?utf-8?q?J=C3=B6rg?=" NIL "joerg" "example.org")) (("=?utf-8?q?J=C3=B6rg?=" NIL "joerg" "example.org")) '
         '(("=?utf-8?q?J=C3=B6rg?=" NIL "joerg" "example.org")) ((NIL NIL "anna" "firma.test")("B, C" NIL "bc" "example.org")) '
         '((NIL NIL "carla" "privat.test")) NIL "<1@example.org>" "<2@example.org>"))')
    structure = ok(imap.fetch("2", "(BODYSTRUCTURE)"))[0].decode().lower()
    for piece in ['("text" "plain" ("charset" "utf-8") nil nil "quoted-printable"',
                  '("application" "pdf" ("name" "x.pdf") nil nil "base64"',
                  '("attachment" ("filename" "x.pdf"))',
                  '("message" "rfc822"', '"mixed" ("boundary" "b")']:
        assert piece in structure, structure
    whole = ok(imap.fetch("2", "(BODY.PEEK[])"))[0][1]
    same(whole, MULTIPART.replace("\n", "\r\n").encode())
    same(ok(imap.fetch("2", "(RFC822.SIZE)")), [b"2 (RFC822.SIZE %d)" % len(whole)])
    for begin, count in [(0, 10), (5, 20), (len(whole) - 3, 100), (len(whole) + 5, 10)]:
        part = ok(imap.fetch("2", f"(BODY.PEEK[]<{begin}.{count}>)"))
        got = part[0][1] if isinstance(part[0], tuple) else b""
        same(got, whole[begin:begin + count])
    sections = {"1": b"Gr=C3=BC=C3=9Fe", "2": b"AAEC", "3.TEXT": b"inner text",
                "3.HEADER.FIELDS (SUBJECT)": b"Subject: inner\r\n\r\n"}
    for section, text in sections.items():
        same(ok(imap.fetch("2", f"(BODY.PEEK[{section}])"))[0][1], text)
    header = ok(imap.fetch("1", "(RFC822.HEADER)"))[0][1]
    text = ok(imap.fetch("1", "(BODY.PEEK[TEXT])"))[0][1]
    same(header + text, SIMPLE.replace("\n", "\r\n").encode())
    same(ok(imap.uid("FETCH", "999", "(FLAGS)")), [None])
    fails(imaplib.IMAP4.error, imap.fetch, "1", "(NOTHING)")


def check_search(imap):
    cases = {
        "ALL": b"1 2", "SEEN": b"1 2", "UNSEEN": b"", "KEYWORD $Forwarded": b"1 2",
        "FROM otto": b"1", "SUBJECT simple": b"1", "TO bc@example.org": b"2", "CC carla": b"2",
        'SUBJECT "other"': b"", "BODY lines": b"1", "TEXT otto": b"1",
        "SENTON 14-Nov-2023": b"1", "SENTSINCE 15-Nov-2023": b"2", "SENTBEFORE 15-Nov-2023": b"1",
        "ON 14-Nov-2023": b"1 2", "SINCE 15-Nov-2023": b"", "BEFORE 14-Nov-2023": b"",
        "LARGER 300": b"2", "SMALLER 300": b"1", "UID 2:*": b"2", "2": b"2", "NOT 2": b"1",
        "OR FROM otto CC carla": b"1 2", "(FROM otto) NOT (TO bc@example.org)": b"1",
        'HEADER In-Reply-To ""': b"2", "HEADER Message-ID 1@example": b"1", "RECENT": b"1 2", "OLD": b"", "NEW": b"",
        "ANSWERED": b"", "UNANSWERED": b"1 2", "FLAGGED": b"", "DELETED": b"", "UNDELETED": b"1 2",
        "DRAFT": b"", "UNDRAFT": b"1 2", "UNKEYWORD $Junk": b"1 2", "BCC x": b"",
    }
    for key, wanted in cases.items():
        got = ok(imap.search(None, key))
        assert got == [wanted], f"SEARCH {key}: got {got}, wanted {wanted}"
    imap.literal = "Rechnung für".encode()
    same(ok(imap.search("UTF-8", "SUBJECT")), [b"2"])
    imap.literal = "Grüße".encode()
    same(ok(imap.search("UTF-8", "BODY")), [b"2"])
    status, data = imap.search("KOI8-X", "SUBJECT x")
    assert status == "NO" and b"BADCHARSET" in data[0], (status, data)
    fails(imaplib.IMAP4.error, imap.search, None, "NONSENSE")


def check_changes(imap):
    same(ok(imap.store("1", "+FLAGS", "(\\Flagged Work)")), [b"1 (FLAGS (\\Flagged \\Seen \\Recent $Forwarded Work))"])
    same(ok(imap.store("1", "-FLAGS.SILENT", "(\\Seen)")), [None])
    same(ok(imap.search(None, "UNSEEN FLAGGED KEYWORD Work")), [b"1"])
    ok(imap.store("1", "FLAGS", "()"))
    same(ok(imap.search(None, "FLAGGED")), [b""])
    data = ok(imap.copy("1:2", "Drafts"))
    assert b"COPYUID" in data[0], data
    status, data = imap.copy("1", "Nowhere")
    assert status == "NO" and b"TRYCREATE" in data[0], (status, data)
    same(imap._simple_command("MOVE", "2", "Junk")[0], "OK")
    same(ok(imap.search(None, "ALL")), [b"1"])
    same(ok(imap.status("Junk", "(MESSAGES)")), [b"Junk (MESSAGES 1)"])
    ok(imap.select("Drafts", readonly=True))
    refused(imap._simple_command("STORE", "1", "+FLAGS", "(\\Deleted)"))
    ok(imap.select("Drafts"))
    ok(imap.store("1", "+FLAGS", "\\Deleted"))
    same(imap._simple_command("UID", "EXPUNGE", "2")[0], "OK")
    same(ok(imap.search(None, "ALL")), [b"1 2"])
    same(ok(imap.expunge()), [b"1"])
    same(ok(imap.uid("SEARCH", "ALL")), [b"2"])
    ok(imap.store("1", "+FLAGS", "\\Deleted"))
    ok(imap.unselect())
    same(ok(imap.select("Drafts")), [b"1"])
    ok(imap.close())
    same(ok(imap.select("Drafts")), [b"0"])
    ok(imap.check())
    ok(imap.noop())


def line(imap):
    return imap.readline().decode().rstrip("\r\n")


def check_idle(provider, imap):
    ok(imap.select("INBOX"))
    imap.send(b"i IDLE\r\n")
    assert line(imap).startswith("+ "), "IDLE goes on"
    waits = []
    for count in range(1, 4):
        provider.swaks("anna@firma.test", "--header", f"Subject: {count}")
        delivered = time.monotonic()
        while line(imap) != f"* {count} EXISTS":
            pass
        waits.append(time.monotonic() - delivered)
        assert waits[-1] < 1, f"IDLE told of a message after {waits[-1]} s"
    imap.send(b"DONE\r\n")
    while not (answer := line(imap)).startswith("i "):
        pass
    assert answer.startswith("i OK"), answer
    same(ok(imap.search(None, "SUBJECT 3")), [b"3"])
    print("IDLE told of messages after", ["%.1f ms" % (wait * 1000) for wait in waits])


def main():
    provider = here()
    check_login(provider)
    imap = provider.imap("anna")
    check_folders(imap)
    check_append(imap)
    check_fetch(imap)
    check_search(imap)
    check_changes(imap)
    check_idle(provider, imap)
    same(imap.logout()[0], "BYE")
    print("done")


main()
