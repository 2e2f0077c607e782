"""Thousands of hostile connections, and a well-behaved client beside them. As `flood SECONDS` it makes
the connections, says `ready N`, keeps them busy and says how it went; otherwise it starts that as another
process, measures the server's memory and times deliveries and fetches meanwhile."""

import collections
import json
import os
import random
import resource
import selectors
import socket
import subprocess
import sys
import time

from provider import here, ok, same

CONNECTIONS = 5000
HELLO = bytes.fromhex("16030100f8010000f40303") + bytes(range(32)) + b"\x20" + bytes(32)
GARBAGE = random.Random(7).randbytes(1 << 16)

# What a connection sends first, what it goes on sending, how many seconds pass between, which ports,
# and how many of a hundred connections are of this kind.
Kind = collections.namedtuple("Kind", "name first more pause ports share")
KINDS = [
    Kind("silent", b"", b"", 0, ["smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"], 30),
    Kind("slow", b"", b"A", 1, ["smtp", "submission", "imap", "pop3"], 24),
    Kind("half a handshake", HELLO, b"\0", 2, ["submissions", "imaps", "pop3s"], 20),
    Kind("half a command", b"EHLO client.test\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<an", b"", 0, ["smtp"], 6),
    Kind("literal", b"a LOGIN {4096}\r\n" + b"x" * 4000, b"", 0, ["imap"], 6),
    Kind("huge literal", b"a LOGIN {999999999}\r\nb LOGIN {3000000+}\r\n", b"x" * 4096, 0.2, ["imap"], 5),
    Kind("endless line", b"", b"A" * 8192, 0.2, ["smtp", "imap", "pop3", "submission"], 3),
    Kind("garbage", b"", GARBAGE, 0.2, ["smtp", "imap", "imaps", "pop3", "pop3s", "submissions"], 2),
    Kind("recipients", b"EHLO x\r\nMAIL FROM:<a@b.example>\r\n", b"RCPT TO:<anna@firma.test>\r\n" * 100, 0.2, ["smtp"], 2),
    Kind("never reads", b"", b"a CAPABILITY\r\n" * 200, 0.2, ["imap"], 2),
]


class Peer:
    """One hostile connection."""

    def __init__(self, kind, port, source):
        self.kind, self.port, self.source = kind, port, source
        self.ends = 0
        self.connect()

    def connect(self):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        # What the server has sent and nobody reads stays with the server.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((self.source, 0))
        self.socket.connect_ex(("127.0.0.1", self.port))
        self.due = time.monotonic() + random.random()
        self.begun = False

    def act(self):
        """Sends what is due; whether the connection is still there."""
        data = self.kind.more if self.begun else self.kind.first or self.kind.more
        self.begun = True
        self.due = time.monotonic() + (self.kind.pause or 3600)
        try:
            if data:
                self.socket.send(data)
            return True
        except BlockingIOError:
            return True
        except OSError:
            return False

    def again(self):
        """A connection that the server has ended is made anew."""
        self.ends += 1
        self.socket.close()
        self.connect()


def flood(provider, seconds):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    rng = random.Random(1)
    peers = []
    selector = selectors.EpollSelector()
    for number in range(CONNECTIONS):
        at = number % 100
        for kind in KINDS:
            at -= kind.share
            if at < 0:
                break
        source = f"127.0.{1 + number // 250}.{1 + number % 250}"
        peer = Peer(kind, provider.ports[rng.choice(kind.ports)], source)
        peers.append(peer)
        # Gone peers are noticed; only those that are not meant to leave things unread read.
        selector.register(peer.socket, selectors.EVENT_READ, peer)
        if number % 50 == 49:
            time.sleep(0.01)
    print("ready", len(peers), flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for peer in peers:
            if peer.due <= time.monotonic() and not peer.act():
                renew(selector, peer)
        for key, _ in selector.select(0.05):
            peer = key.data
            if peer.kind.name == "never reads":
                continue
            try:
                gone = not peer.socket.recv(65536)
            except BlockingIOError:
                gone = False
            except OSError:
                gone = True
            if gone:
                renew(selector, peer)
    ended = collections.Counter()
    for peer in peers:
        ended[peer.kind.name] += peer.ends
    print(json.dumps(ended), flush=True)


def renew(selector, peer):
    selector.unregister(peer.socket)
    peer.again()
    selector.register(peer.socket, selectors.EVENT_READ, peer)


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmRSS"))
    return int(line.split()[1])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def one_round(provider, number):
    """Delivers a message and fetches it; how long both took."""
    begin = time.monotonic()
    provider.deliver("anna@firma.test", f"Subject: good {number}\n\nstill here\n")
    delivered = time.monotonic()
    imap = provider.imap("anna")
    ok(imap.select("INBOX"))
    same(ok(imap.search(None, f'SUBJECT "good {number}"')), [b"%d" % (number + 1)])
    same(ok(imap.fetch(str(number + 1), "(BODY.PEEK[TEXT])"))[0][1], b"still here\r\n")
    imap.logout()
    return delivered - begin, time.monotonic() - delivered


def main():
    provider = here()
    if sys.argv[2] == "flood":
        flood(provider, float(sys.argv[3]))
        return
    pid, growth_kib_max, seconds_max = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    one_round(provider, 0)
    before = resident_kib(pid)
    arguments = [sys.executable, "-B", __file__, sys.argv[1], "flood", "15"]
    flooding = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert flooding.stdout.readline().startswith("ready"), "the flood begins"
    open_max, resident_max, times = 0, before, []
    while flooding.poll() is None:
        times.append(one_round(provider, len(times) + 1))
        open_max = max(open_max, descriptors(pid))
        resident_max = max(resident_max, resident_kib(pid))
        time.sleep(0.5)
    print("connections ended by the server:", flooding.stdout.read().strip())
    growth = resident_max - before
    print(f"resident: {before} KiB, at most {growth} KiB more; descriptors: at most {open_max}")
    slowest = [max(column) for column in zip(*times)]
    print("rounds: %d, slowest delivery %.2f s, slowest fetch %.2f s" % (len(times), *slowest))
    assert open_max > CONNECTIONS * 0.6, f"only {open_max} connections were open at a time"
    assert growth < growth_kib_max, f"{growth} KiB more"
    assert max(slowest) < seconds_max, f"{slowest} s"
    # And when they are gone, everything is given back.
    deadline = time.monotonic() + 10
    while descriptors(pid) > 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert descriptors(pid) <= 200, f"{descriptors(pid)} descriptors are still open"
    one_round(provider, len(times) + 1)
    print("done")


main()
