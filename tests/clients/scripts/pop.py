"""Python's poplib against the demo provider: `first` fills the maildrop and removes from it, `second`
looks again after a restart."""

import base64
import hashlib
import hmac
import poplib
import sys

from provider import fails, here, ok, same

DOTS = "Subject: %d\n\n.one\n..two\nthree\n.\nfour\n"


def check_login(provider):
    account = provider.accounts["anna"]
    clear = poplib.POP3("localhost", provider.ports["pop3"], timeout=30)
    capabilities = clear.capa()
    assert "STLS" in capabilities and "SASL" not in capabilities and "USER" not in capabilities, capabilities
    text = fails(poplib.error_proto, clear.user, account["address"])
    assert "STLS" in text, text
    fails(poplib.error_proto, clear.stat)
    clear.stls(context=provider.tls)
    capabilities = clear.capa()
    assert "STLS" not in capabilities and "USER" in capabilities, capabilities
    for name in ["TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "UTF8"]:
        assert name in capabilities, capabilities
    assert "SCRAM-SHA-256" in capabilities["SASL"], capabilities
    clear.user(account["address"])
    text = fails(poplib.error_proto, clear.pass_, "wrong")
    assert "[AUTH]" in text, text
    clear.utf8()
    clear.user(account["address"])
    clear.pass_(account["password"])
    clear.quit()


def scram(provider, password):
    """AUTH SCRAM-SHA-256 (RFC 5034, RFC 7677) with Python's own arithmetic; the last answer."""
    pop = poplib.POP3_SSL("localhost", provider.ports["pop3s"], context=provider.tls, timeout=30)
    bare = f"n={provider.accounts['anna']['address']},r=rOprNGfwEbeRWgbNEkqO"

    def say(text):
        pop._putcmd(base64.b64encode(text.encode()).decode())
        return answer()

    def answer():
        line = pop._getline()[0]
        return base64.b64decode(line[2:]).decode() if line.startswith(b"+ ") else line.decode()

    pop._putcmd("AUTH SCRAM-SHA-256")
    same(answer(), "")
    first = say("n,," + bare)
    fields = dict(field.split("=", 1) for field in first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
    last = f"c=biws,r={fields['r']}"
    signed = ",".join([bare, first, last]).encode()

    def mac(key, text):
        return hmac.new(key, text, "sha256").digest()

    client = mac(salted, b"Client Key")
    signature = mac(hashlib.sha256(client).digest(), signed)
    proof = bytes(a ^ b for a, b in zip(client, signature))
    said = say(f"{last},p={base64.b64encode(proof).decode()}")
    if said.startswith("v="):
        same(base64.b64decode(said[2:]), mac(mac(salted, b"Server Key"), signed))
        said = say("")
    pop.close()
    return said


def check_scram(provider):
    password = provider.accounts["anna"]["password"]
    said = scram(provider, password)
    assert said.startswith("+OK"), said
    said = scram(provider, password + "x")
    assert said.startswith("-ERR [AUTH]"), said


def check_mail(provider):
    for number in range(1, 4):
        provider.deliver("anna@firma.test", DOTS % number)
    pop = provider.pop3("anna")
    count, size = pop.stat()
    same(count, 3)
    sizes = [int(row.split()[1]) for row in pop.list()[1]]
    same(sum(sizes), size)
    same(pop.list(2), b"+OK 2 %d" % sizes[1])
    _, lines, octets = pop.retr(1)
    same(octets, sizes[0])
    same(lines[-7:], [b"Subject: 1", b"", b".one", b"..two", b"three", b".", b"four"])
    head = lines[:-5]
    for wanted in range(7):
        same(pop.top(1, wanted)[1], head + lines[len(head):len(head) + wanted])
    for wrong in [0, 4, 99999999999]:
        fails(poplib.error_proto, pop.retr, wrong)
        fails(poplib.error_proto, pop.dele, wrong)
    # A second program has to wait.
    text = fails(poplib.error_proto, provider.pop3, "anna")
    assert "[IN-USE]" in text, text
    # Mail that comes now is in the next session's snapshot.
    provider.deliver("anna@firma.test", DOTS % 4)
    same(pop.stat()[0], 3)
    return pop


def check_removal(provider, pop):
    before = provider.imap("anna")
    pop.dele(2)
    fails(poplib.error_proto, pop.retr, 2)
    fails(poplib.error_proto, pop.dele, 2)
    same(pop.stat()[0], 2)
    same([row.split()[0] for row in pop.list()[1]], [b"1", b"3"])
    pop.rset()
    same(pop.stat()[0], 3)
    pop.dele(1)
    # Without QUIT nothing leaves.
    pop.close()
    same(ok(before.select("INBOX")), [b"4"])
    before.logout()
    pop = provider.pop3("anna")
    same(pop.stat()[0], 4)
    uidls = pop.uidl()[1]
    pop.dele(1)
    pop.quit()
    pop = provider.pop3("anna")
    same(pop.stat()[0], 3)
    same([row.split()[1] for row in pop.uidl()[1]], [row.split()[1] for row in uidls[1:]])
    assert b"Subject: 2" in pop.retr(1)[1]
    pop.quit()


def main():
    provider = here()
    if sys.argv[2] == "first":
        check_login(provider)
        check_scram(provider)
        pop = check_mail(provider)
        check_removal(provider, pop)
    pop = provider.pop3("anna")
    print("uidl", *[row.split()[1].decode() for row in pop.uidl()[1]])
    pop.quit()
    print("done")


main()
