# Judges a message with dkimpy: dkim_verify.py ENDPOINTS DNS-PORT FILE. Keys come from the DNS at
# 127.0.0.1, by dig. Prints a verdict per signature with its domain and algorithm.
import re
import subprocess
import sys

sys.path.append("/usr/lib/python3/dist-packages")
import dkim  # noqa: E402

port, path = sys.argv[2:]


def txt(name, timeout=5):
    command = ["dig", "@127.0.0.1", "-p", port, "+short", name.decode(), "TXT"]
    said = subprocess.run(command, capture_output=True, check=True).stdout
    return b"".join(re.findall(rb'"([^"]*)"', said)) or None


message = open(path, "rb").read()
d = dkim.DKIM(message)
signatures = [value for name, value in d.headers if name.lower() == b"dkim-signature"]
for n, signature in enumerate(signatures):
    tags = dict(tag.strip().split(b"=", 1) for tag in signature.split(b";") if b"=" in tag)
    domain, algorithm = tags[b"d"].decode(), tags[b"a"].decode()
    try:
        verdict = "pass" if d.verify(idx=n, dnsfunc=txt) else "fail"
    except dkim.DKIMException as error:
        verdict = "error: %s" % error
    print(domain, algorithm, verdict)
