"""Random operations of three accounts over SMTP, IMAP and POP3. Whatever a connection receives is
looked through for the words of other accounts, and an account that does nothing itself looks the
same before and after."""

import imaplib
import poplib
import random
import smtplib
import sys
import time

from provider import here, ok

NAMES = ["anna", "bernd", "carla"]
SPECIAL = ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]


def word(name):
    """What stands in everything that belongs to this account and nowhere else."""
    return f"Secret{name}7"


class World:
    def __init__(self, provider, seed):
        self.provider = provider
        self.rng = random.Random(seed)
        self.foreign = {
            name: [text.encode().lower()
                   for other in NAMES if other != name
                   for text in (word(other), provider.accounts[other]["address"])]
            for name in NAMES
        }
        self.seen = dict.fromkeys(NAMES, 0)

    def watch(self, name, data):
        for text in self.foreign[name]:
            assert text not in data.lower(), f"{name} is shown {text}: {data!r}"
        # That there is something to be seen at all.
        self.seen[name] += data.count(word(name).encode())
        return data


class Imap(imaplib.IMAP4_SSL):
    """A connection whose every byte is looked through."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        provider = world.provider
        super().__init__("localhost", provider.ports["imaps"], ssl_context=provider.tls, timeout=30)
        account = provider.accounts[name]
        ok(self.login(account["address"], account["password"]))

    def readline(self):
        return self.world.watch(self.name, super().readline())

    def read(self, size):
        return self.world.watch(self.name, super().read(size))


class Pop3(poplib.POP3_SSL):
    """Likewise."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        provider = world.provider
        super().__init__("localhost", provider.ports["pop3s"], context=provider.tls, timeout=30)
        account = provider.accounts[name]
        self.user(account["address"])
        self.pass_(account["password"])

    def _getline(self):
        line, octets = super()._getline()
        return self.world.watch(self.name, line), octets


def letter(name, number, sender="x@example.org"):
    secret = word(name)
    return (f"From: {secret} <{sender}>\r\nSubject: {secret} {number}\r\nX-{secret}: {secret}\r\n"
            f"Message-ID: <{secret}.{number}@example.org>\r\n\r\n{secret} {number}\r\n")


def selectable(imap):
    """The mailboxes of a connection's account."""
    rows = [row.decode() for row in ok(imap.list())]
    return [row.split('"/" ', 1)[1].strip('"') for row in rows if "\\Noselect" not in row]


class Actor:
    """One account and what it does."""

    def __init__(self, world, name):
        self.world, self.name, self.rng = world, name, world.rng
        self.imap = Imap(world, name)
        self.number = 0

    def mailboxes(self):
        return selectable(self.imap)

    def open(self):
        """Some mailbox of its own with how many messages it has."""
        mailbox = self.rng.choice(self.mailboxes())
        return int(ok(self.imap.select(f'"{mailbox}"'))[0])

    def act(self, active):
        self.number += 1
        self.rng.choice([
            self.deliver, self.deliver, self.deliver_to_all, self.submit, self.append, self.create, self.rename,
            self.delete, self.store, self.copy, self.expunge, self.fetch, self.fetch, self.search, self.trespass,
            self.pop3, self.reconnect,
        ])(active)

    def deliver(self, active):
        to = self.rng.choice(active)
        self.smtp([to], letter(to, f"{self.name}.{self.number}"))

    def deliver_to_all(self, active):
        """One message for several; none may learn of the others."""
        self.smtp(active, f"Subject: for several {self.number}\r\n\r\nx\r\n")

    def smtp(self, to, text):
        accounts = self.world.provider.accounts
        with smtplib.SMTP("127.0.0.1", self.world.provider.ports["smtp"], timeout=30) as smtp:
            smtp.sendmail("x@example.org", [accounts[name]["address"] for name in to], text)

    def submit(self, _active):
        provider = self.world.provider
        account = provider.accounts[self.name]
        with smtplib.SMTP_SSL("localhost", provider.ports["submissions"], context=provider.tls, timeout=30) as smtp:
            smtp.login(account["address"], account["password"])
            smtp.sendmail(account["address"], [account["address"]],
                          letter(self.name, self.number, account["address"]))

    def append(self, _active):
        mailbox = self.rng.choice(self.mailboxes())
        ok(self.imap.append(f'"{mailbox}"', f"({word(self.name)})", None, letter(self.name, self.number).encode()))

    def create(self, _active):
        # Everybody uses the same numbers, so that names and UIDs are alike.
        self.imap.create(f"{word(self.name)}/{self.rng.randrange(4)}")
        self.imap.create(f"same/{self.rng.randrange(3)}")
        self.imap.subscribe("same/1")

    def rename(self, _active):
        own = [name for name in self.mailboxes() if name not in SPECIAL]
        if own:
            self.imap.rename(f'"{self.rng.choice(own)}"', f"same/r{self.rng.randrange(3)}")

    def delete(self, _active):
        own = [name for name in self.mailboxes() if name not in SPECIAL]
        if own:
            self.imap.delete(f'"{self.rng.choice(own)}"')

    def store(self, _active):
        if count := self.open():
            flag = self.rng.choice(["\\Seen", "\\Deleted", "\\Flagged", word(self.name)])
            self.imap.store(str(self.rng.randint(1, count)), self.rng.choice(["+FLAGS", "-FLAGS"]), f"({flag})")

    def copy(self, _active):
        if count := self.open():
            to = self.rng.choice(self.mailboxes())
            verb = self.rng.choice(["COPY", "MOVE"])
            self.imap._simple_command(verb, f"{self.rng.randint(1, count)}:*", f'"{to}"')

    def expunge(self, _active):
        self.open()
        self.imap.expunge()

    def fetch(self, _active):
        if self.open():
            ok(self.imap.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[])"))

    def search(self, _active):
        self.open()
        for other in NAMES:
            found = ok(self.imap.search(None, f"TEXT {word(other)}"))
            assert other == self.name or found in ([b""], [None]), f"{self.name} finds {other}: {found}"

    def trespass(self, _active):
        """Names and numbers that are somebody else's."""
        other = self.rng.choice([name for name in NAMES if name != self.name])
        address = self.world.provider.accounts[other]["address"]
        for mailbox in [f"{word(other)}/1", f"Other Users/{address}/INBOX", f"~{address}", f"user/{other}", "../INBOX", "#shared"]:
            assert self.imap.select(f'"{mailbox}"')[0] == "NO", mailbox
            assert self.imap.status(f'"{mailbox}"', "(MESSAGES)")[0] == "NO", mailbox
            assert ok(self.imap.list('""', f'"{mailbox}"')) == [None], mailbox
        self.imap.create(f'"Other Users/{self.rng.randrange(3)}"')
        if self.open():
            self.imap.uid("FETCH", f"{self.rng.randrange(1, 4_000_000_000)},1:*", "(FLAGS)")

    def pop3(self, _active):
        pop = Pop3(self.world, self.name)
        count = pop.stat()[0]
        pop.uidl()
        for number in range(1, min(count, 10) + 1):
            pop.retr(number)
        if count:
            pop.dele(self.rng.randint(1, count))
        if self.rng.random() < 0.5:
            pop.quit()
        else:
            pop.close()
            # The maildrop is free once the server has noticed.
            time.sleep(0.05)

    def reconnect(self, _active):
        self.imap.logout()
        self.imap = Imap(self.world, self.name)


def snapshot(world, name):
    """Everything an account has."""
    imap = Imap(world, name)
    everything = {"LSUB": sorted(row for row in ok(imap.lsub()) if row)}
    for mailbox in selectable(imap):
        everything[mailbox] = ok(imap.status(f'"{mailbox}"', "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)"))
        ok(imap.select(f'"{mailbox}"', readonly=True))
        if everything[mailbox][0].find(b"MESSAGES 0") < 0:
            rows = ok(imap.fetch("1:*", "(UID FLAGS RFC822.SIZE BODY.PEEK[])"))
            # \Recent is for one session only.
            everything[mailbox] += [str(row).replace(" \\\\Recent", "").replace("\\\\Recent", "") for row in rows]
    imap.logout()
    return everything


def main():
    provider = here()
    seconds, seed = float(sys.argv[2]), int(sys.argv[3])
    world = World(provider, seed)
    actors = {name: Actor(world, name) for name in NAMES}
    end = time.monotonic() + seconds
    operations = rounds = 0
    while time.monotonic() < end:
        rounds += 1
        quiet = world.rng.choice(NAMES)
        before = snapshot(world, quiet)
        active = [name for name in NAMES if name != quiet]
        for _ in range(25):
            actors[world.rng.choice(active)].act(active)
            operations += 1
        after = snapshot(world, quiet)
        assert before == after, f"seed {seed}: {quiet} did nothing:\n{before}\n{after}"
    print(f"{operations} operations in {rounds} rounds; own words seen: {world.seen}")
    assert operations >= 100 and min(world.seen.values()) > 50, "too little happened to show anything"
    print("done")


main()
