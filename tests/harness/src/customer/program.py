# A customer's mail program, as old or as new as asked for: one visit to a server, told as one JSON
# object on standard output. Reads its orders as one JSON object from standard input. Stands on
# OpenSSL, so that TLS 1.0 is real. Checks no certificate: it is about who gets in, not about trust.
import imaplib
import json
import poplib
import smtplib
import socket
import ssl
import sys

orders = json.load(sys.stdin)
host, port = orders["host"], orders["port"]
security, user, password = orders["security"], orders["user"], orders["password"]
told = {"ok": False, "stage": "connect", "text": "", "version": None}
TIMEOUT = 15
# Each customer has an address of its own, as at home.
connect = socket.create_connection


def from_home(address, timeout=TIMEOUT, source_address=None):
    return connect(address, timeout, (orders["home"], 0))


socket.create_connection = from_home


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.set_ciphers("ALL:@SECLEVEL=0")
    made.minimum_version = ssl.TLSVersion.TLSv1
    made.maximum_version = ssl.TLSVersion[orders["newest"]]
    # Two TLS stacks that no session ticket connects: each visit is a first one.
    made.options |= ssl.OP_NO_TICKET
    return made


def saw(sock):
    if isinstance(sock, ssl.SSLSocket):
        told["version"] = sock.version()


def text(answer):
    if isinstance(answer, (list, tuple)):
        return " ".join(text(part) for part in answer)
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)


def imap():
    if security == "tls":
        told["stage"] = "tls"
        server = imaplib.IMAP4_SSL(host, port, ssl_context=context(), timeout=TIMEOUT)
    else:
        server = imaplib.IMAP4(host, port, timeout=TIMEOUT)
    if security == "starttls":
        told["stage"] = "tls"
        server.starttls(context())
    saw(server.sock)
    if orders["imap_id"]:
        told["stage"] = "id"
        imaplib.Commands["ID"] = ("NONAUTH", "AUTH", "SELECTED")
        fields = " ".join('"%s" "%s"' % pair for pair in orders["imap_id"].items())
        server._simple_command("ID", "(" + fields + ")")
    told["stage"] = "login"
    server.login(user, password)
    told["stage"] = "select"
    told["text"] = text(server.select("INBOX")[1])
    server.logout()


def pop3():
    if security == "tls":
        told["stage"] = "tls"
        server = poplib.POP3_SSL(host, port, context=context(), timeout=TIMEOUT)
    else:
        server = poplib.POP3(host, port, timeout=TIMEOUT)
    if security == "starttls":
        told["stage"] = "tls"
        server.stls(context())
    saw(server.sock)
    told["stage"] = "login"
    server.user(user)
    server.pass_(password)
    told["stage"] = "stat"
    told["text"] = str(server.stat())
    server.quit()


def smtp():
    hello = orders["hello"]
    if security == "tls":
        told["stage"] = "tls"
        server = smtplib.SMTP_SSL(host, port, hello, timeout=TIMEOUT, context=context())
    else:
        server = smtplib.SMTP(host, port, hello, timeout=TIMEOUT)
    told["stage"] = "hello"
    server.ehlo_or_helo_if_needed()
    if security == "starttls":
        told["stage"] = "tls"
        server.starttls(context=context())
        server.ehlo()
    saw(server.sock)
    told["stage"] = "login"
    server.login(user, password)
    told["stage"] = "send"
    server.sendmail(orders["from"], [orders["to"]], orders["message"].replace("\n", "\r\n"))
    server.quit()


try:
    {"imap": imap, "pop3": pop3, "smtp": smtp}[orders["protocol"]]()
    told["ok"] = True
    told["stage"] = "done"
except Exception as error:
    told["text"] = text(error.args) if getattr(error, "args", None) else str(error)
print(json.dumps(told))
