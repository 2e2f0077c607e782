"""Reads what the server says to two connections on one mailbox, and checks it against RFC 3501: what
may be said when (section 7.4.1), UIDs that only rise (section 2.3.1.1), sequence numbers without gaps."""

import random
import re

from provider import here

NO_EXPUNGE = {"FETCH", "STORE", "SEARCH"}


class View:
    """One connection and the mailbox as it has been told of."""

    def __init__(self, provider, name):
        self.imap = provider.imap("anna")
        self.name = name
        self.uids = []
        self.flags = {}
        self.uidnext = 0
        self.tag = 0
        self.found = []

    def line(self):
        """The next line with the literals in it."""
        text = b""
        while True:
            text += self.imap.readline()
            assert text.endswith(b"\r\n"), text
            literal = re.search(rb"\{(\d+)\}\r\n$", text)
            if not literal:
                return text[:-2].decode()
            text += self.imap.read(int(literal[1]))

    def say(self, command):
        """Says a command and takes in every answer; the tagged one is returned."""
        self.tag += 1
        tag = f"{self.name}{self.tag}"
        verb = command.split()[0]
        self.found = []
        self.imap.send(f"{tag} {command}\r\n".encode())
        while True:
            line = self.line()
            if line.startswith(tag + " "):
                self.settle()
                return line[len(tag) + 1:]
            self.take(line, verb)

    def take(self, line, verb):
        assert line.startswith("* "), f"{verb}: {line}"
        words = line[2:].split(" ", 2)
        if words[0] == "SEARCH":
            self.found = [int(word) for word in line.split()[2:]]
        if len(words) < 2 or not words[0].isdigit():
            return
        number, kind = int(words[0]), words[1]
        if kind == "EXISTS":
            # It never shrinks without EXPUNGE.
            assert number >= len(self.uids), f"{verb}: {line}, after {len(self.uids)}"
            self.uids += [None] * (number - len(self.uids))
        elif kind == "EXPUNGE":
            assert verb not in NO_EXPUNGE, f"{verb} may not tell of {line}"
            assert 1 <= number <= len(self.uids), f"{verb}: {line} of {len(self.uids)}"
            gone = self.uids.pop(number - 1)
            self.flags.pop(gone, None)
        elif kind == "FETCH":
            assert 1 <= number <= len(self.uids), f"{verb}: {line} of {len(self.uids)}"
            self.fetched(number, line)

    def fetched(self, number, line):
        uid = re.search(r"UID (\d+)", line)
        if uid:
            uid = int(uid[1])
            known = self.uids[number - 1]
            assert known in (None, uid), f"message {number} was UID {known}: {line}"
            self.uids[number - 1] = uid
        flags = re.search(r"FLAGS \(([^)]*)\)", line)
        if flags and self.uids[number - 1] is not None:
            self.flags[self.uids[number - 1]] = set(flags[1].split()) - {"\\Recent"}

    def settle(self):
        known = [uid for uid in self.uids if uid is not None]
        assert known == sorted(set(known)), f"UIDs do not rise: {known}"

    def learn(self):
        """Asks for the UIDs and flags of everything."""
        if self.uids:
            self.say("FETCH 1:* (UID FLAGS)")
        assert None not in self.uids, self.uids

    def select(self):
        self.uids, self.flags = [], {}
        assert self.say("SELECT INBOX").startswith("OK [READ-WRITE]")
        self.learn()


def act(rng, view, provider, count):
    """Something random; what happened to the mailbox is seen by the views."""
    size = len(view.uids)
    choice = rng.randrange(9)
    if choice <= 1 or size < 3:
        provider.deliver("anna@firma.test", f"Subject: {count}\n\nx\n")
    elif choice == 2:
        number = rng.randint(1, size)
        answer = view.say(f"STORE {number} {rng.choice('+-')}FLAGS (\\Flagged k{rng.randrange(3)})")
        # Somebody else may have removed it.
        assert answer.startswith(("OK", "NO")), answer
    elif choice == 3:
        number = rng.randint(1, size)
        view.say(f"STORE {number} +FLAGS.SILENT (\\Deleted)")
    elif choice == 4:
        assert view.say("EXPUNGE").startswith("OK")
    elif choice == 5:
        view.say(f"FETCH {rng.randint(1, size)}:* (FLAGS UID)")
    elif choice == 6:
        assert view.say("SEARCH ALL").startswith("OK")
        assert all(1 <= number <= len(view.uids) for number in view.found), view.found
    elif choice == 7:
        assert view.say("NOOP").startswith("OK")
    else:
        uid = view.uids[rng.randrange(len(view.uids))]
        if uid:
            assert view.say(f"UID FETCH {uid} (FLAGS BODY.PEEK[HEADER.FIELDS (Nothing)])")


def check_held_back(one, two):
    """An expunge by one is told to the other, but only where its numbers may change."""
    one.learn()
    two.learn()
    before = list(two.uids)
    one.say("STORE 1 +FLAGS.SILENT (\\Deleted)")
    gone = one.uids[0]
    one.say("EXPUNGE")
    assert gone not in one.uids
    for command in ["SEARCH ALL", "FETCH 1:* (FLAGS)", "STORE 2 +FLAGS (seen-by-two)"]:
        two.say(command)
        assert two.uids[:len(before)] == before, f"{command} changed the numbers"
    # With UIDs the numbers may change.
    two.say("UID SEARCH ALL")
    assert gone not in two.uids, "a UID command tells of removals"
    one.say("NOOP")
    told = one.flags.get(two.uids[0])
    assert told is None or "seen-by-two" in one.flags[before[1]], "a change of flags is told at NOOP"


def converge(one, two):
    for view in (one, two):
        view.say("NOOP")
        view.learn()
    assert one.uids == two.uids, f"{one.uids} and {two.uids}"
    assert one.flags == two.flags, f"{one.flags} and {two.flags}"


def main():
    provider = here()
    seed = 20260101
    rng = random.Random(seed)
    one, two = View(provider, "a"), View(provider, "b")
    one.select()
    two.select()
    highest = 0
    for count in range(400):
        act(rng, rng.choice([one, two]), provider, count)
        if count % 40 == 39:
            converge(one, two)
            # A UID is never given twice.
            assert not one.uids or one.uids[-1] >= highest
            highest = max([highest, *one.uids])
    for count in range(3):
        provider.deliver("anna@firma.test", f"Subject: last {count}\n\nx\n")
    converge(one, two)
    check_held_back(one, two)
    converge(one, two)
    # A fresh look shows the same.
    told = (list(one.uids), dict(one.flags))
    one.select()
    assert (one.uids, one.flags) == told, f"{told} was told, {one.uids} {one.flags} is there"
    print("done")


main()
