"""What the scripts share: where the demo provider is, a delivery by swaks, and claims that must hold."""

import imaplib
import json
import poplib
import smtplib
import ssl
import subprocess
import sys


class Provider:
    """The demo provider of an endpoints.json."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        self.ports = data["ports"]
        self.accounts = {a["address"].split("@")[0]: a for a in data["accounts"]}
        self.tls = ssl.create_default_context(cafile=data["ca_file"])

    def imap(self, name):
        """A connection of this account, logged in."""
        account = self.accounts[name]
        imap = imaplib.IMAP4_SSL("localhost", self.ports["imaps"], ssl_context=self.tls, timeout=30)
        ok(imap.login(account["address"], account["password"]))
        return imap

    def pop3(self, name):
        """A maildrop of this account, open."""
        account = self.accounts[name]
        pop3 = poplib.POP3_SSL("localhost", self.ports["pop3s"], context=self.tls, timeout=30)
        pop3.user(account["address"])
        pop3.pass_(account["password"])
        return pop3

    def deliver(self, to, text):
        """A message as another server delivers it."""
        with smtplib.SMTP("127.0.0.1", self.ports["smtp"], timeout=30) as smtp:
            smtp.sendmail("you@example.org", [to], text.replace("\n", "\r\n").encode())

    def swaks(self, to, *more):
        """A delivery by swaks."""
        subprocess.run(
            ["swaks", "--silent", "3", "--server", f"127.0.0.1:{self.ports['smtp']}",
             "--from", "you@example.org", "--to", to, *more],
            check=True,
        )


def here():
    """The provider named on the command line."""
    return Provider(sys.argv[1])


def ok(answer):
    """The data of an answer that must be OK."""
    status, data = answer
    assert status == "OK", answer
    return data


def refused(answer):
    """Asserts that a command was answered with NO."""
    assert answer[0] == "NO", answer


def same(got, wanted):
    """Asserts that two values are the same."""
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"


def fails(kind, action, *arguments):
    """The error an action must end with."""
    try:
        result = action(*arguments)
    except kind as error:
        return str(error)
    raise AssertionError(f"{action} went well: {result!r}")
