"""Logs in and opens the relay with strict certificate checks, as Python 3.13 does by default.

Usage: strict_tls.py HTTPS_URL CA_PEM
"""

import hashlib
import json
import socket
import ssl
import sys
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from websockets.sync.client import connect

AUTH_HOST = "vera-us-oem-autha.mios.com"
RELAY_HOST = "nma-server7-ui-cloud.ezlo.com"


def strict_context(ca_pem):
    context = ssl.create_default_context(cafile=ca_pem)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def redirect_every_name_to(address):
    resolve = socket.getaddrinfo
    socket.getaddrinfo = lambda host, port, *rest, **options: resolve(*address, *rest, **options)


class StrictAdapter(HTTPAdapter):
    def __init__(self, context):
        self.context = context
        super().__init__()

    def init_poolmanager(self, *arguments, **options):
        super().init_poolmanager(*arguments, ssl_context=self.context, **options)


def log_in(context):
    session = requests.Session()
    session.mount("https://", StrictAdapter(context))
    digest = hashlib.sha1(b"demo.user" + b"demo-password" + b"oZ7QE6LcLJp6fiWzdqZc").hexdigest()
    path = "/autha/auth/username/demo.user"
    query = {"SHA1Password": digest, "PK_Oem": "1"}
    response = session.get(f"https://{AUTH_HOST}{path}", params=query, timeout=20)
    response.raise_for_status()
    return response.json()


def log_in_at_relay(context, identity):
    with connect(f"wss://{RELAY_HOST}/", ssl=context, open_timeout=20) as relay:
        params = {"MMSAuth": identity["Identity"], "MMSAuthSig": identity["IdentitySignature"]}
        relay.send(json.dumps({"method": "loginUserMios", "id": "1", "params": params}))
        reply = json.loads(relay.recv(timeout=20))
        assert reply["error"] is None, reply


def main():
    url, ca_pem = sys.argv[1:]
    address = urlsplit(url)
    redirect_every_name_to((address.hostname, address.port))
    context = strict_context(ca_pem)
    log_in_at_relay(context, log_in(context))
    print("strict TLS: ok")


if __name__ == "__main__":
    main()
