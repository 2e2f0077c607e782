# A mail server that keeps what it is sent, over OpenSSL's TLS. Arguments: address, port, lowest and
# highest TLS version, cipher list; key and chain come on standard input. Prints its port, then one
# JSON object per event.
import json
import re
import socketserver
import ssl
import sys
import tempfile
import threading

host, port, lowest, highest, ciphers = sys.argv[1:]
with tempfile.NamedTemporaryFile("w", suffix=".pem") as pem:
    pem.write(sys.stdin.read())
    pem.flush()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem.name)
context.set_ciphers(ciphers)
context.minimum_version = ssl.TLSVersion[lowest]
context.maximum_version = ssl.TLSVersion[highest]
names = {}
context.sni_callback = lambda sock, name, _: names.__setitem__(id(sock), name)

lock = threading.Lock()
sessions = 0


def tell(**event):
    with lock:
        print(json.dumps(event), flush=True)


class Session(socketserver.BaseRequestHandler):
    def handle(self):
        global sessions
        with lock:
            self.number = sessions
            sessions += 1
            client = "%s:%d" % self.client_address[:2]
            print(json.dumps({"what": "begin", "session": self.number, "client": client}), flush=True)
        self.tls = None
        self.reset()
        try:
            self.serve()
        except (OSError, ValueError):
            pass
        tell(what="end", session=self.number)

    def reset(self):
        self.sender, self.to = None, []
        if not hasattr(self, "file"):
            self.file = self.request.makefile("rb")

    def say(self, text):
        self.request.sendall(text.encode() + b"\r\n")

    def serve(self):
        self.say("220 sink.test ESMTP")
        while line := self.file.readline():
            line = line.decode("utf-8", "replace").rstrip("\r\n")
            tell(what="command", session=self.number, line=line)
            verb = line[:4].upper()
            if verb in ("EHLO", "HELO"):
                tell(what="hello", session=self.number, name=line[5:])
                more = [] if self.tls else ["250-STARTTLS"]
                self.say("\r\n".join(["250-sink.test", "250-8BITMIME", "250-SMTPUTF8", *more, "250 DSN"]))
                self.reset()
            elif verb == "STAR":
                self.say("220 2.0.0 go on")
                if not self.start_tls():
                    return
            elif verb in ("MAIL", "RCPT"):
                path, parameters = re.fullmatch(r"\w+ \w+:<([^>]*)>(.*)", line).groups()
                if verb == "MAIL":
                    self.sender = [path, parameters.strip()]
                else:
                    self.to.append([path, parameters.strip()])
                self.say("250 2.1.0 go on")
            elif verb == "DATA":
                self.data()
            elif verb == "QUIT":
                self.say("221 2.0.0 goodbye")
                return
            else:
                if verb == "RSET":
                    self.reset()
                self.say("250 2.0.0 yes")

    def start_tls(self):
        try:
            self.request = context.wrap_socket(self.request, server_side=True)
        except OSError as error:
            tell(what="no tls", session=self.number, why=str(error))
            return False
        self.file = self.request.makefile("rb")
        name, version, _ = self.request.cipher()
        self.tls = {
            "version": self.request.version(),
            "cipher": name,
            "server_name": names.get(id(self.request)),
        }
        tell(what="tls", session=self.number, tls=self.tls)
        self.reset()
        return True

    def data(self):
        self.say("354 go on")
        data = b""
        while (line := self.file.readline()) != b".\r\n":
            if not line:
                return
            data += line[1:] if line.startswith(b".") else line
        tell(
            what="mail",
            session=self.number,
            tls=self.tls,
            **{"from": self.sender},
            to=self.to,
            data=data.decode("latin-1"),
        )
        self.say("250 2.0.0 taken")
        self.reset()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


with Server((host, int(port)), Session) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
