#!/usr/bin/env python3
"""Computes TLS 1.3's key schedule from an external pre-shared key (RFC 8446 section 7.1) with
nothing but Python's hmac and hashlib, as vectors for the tests. Writes `name hex` lines:

    python3 tls/tests/vectors/psk_schedule.py > tls/tests/fixtures/psk-schedule.txt
"""

import hashlib
import hmac

HASH = 32


def extract(salt, secret):
    return hmac.new(salt or bytes(HASH), secret, hashlib.sha256).digest()


def expand_label(secret, label, context, length=HASH):
    name = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(name)]) + name + bytes([len(context)]) + context
    output, block, counter = b"", b"", 1
    while len(output) < length:
        block = hmac.new(secret, block + info + bytes([counter]), hashlib.sha256).digest()
        output += block
        counter += 1
    return output[:length]


def digest(*messages):
    return hashlib.sha256(b"".join(messages)).digest()


def finished(base, transcript):
    return hmac.new(expand_label(base, b"finished", b""), transcript, hashlib.sha256).digest()


# Stand-ins for messages: the schedule only sees their hashes.
key = b"shiPaetai3ejaiGees3koi3nuoph5ohm"
shared_secret = bytes(range(32))
truncated_hello = b"a ClientHello without its binders"
client_hello = b"a ClientHello"
server_hello = b"a ServerHello"
to_finished = b"all up to the server's Finished"

early = extract(None, key)
binder_key = expand_label(early, b"ext binder", digest(b""))
handshake = extract(expand_label(early, b"derived", digest(b"")), shared_secret)
hello_hash = digest(client_hello, server_hello)
client = expand_label(handshake, b"c hs traffic", hello_hash)
server = expand_label(handshake, b"s hs traffic", hello_hash)
master = extract(expand_label(handshake, b"derived", digest(b"")), bytes(HASH))
finished_hash = digest(client_hello, server_hello, to_finished)
client_application = expand_label(master, b"c ap traffic", finished_hash)
retry_hash = digest(b"\xfe\x00\x00\x20" + digest(client_hello), b"a HelloRetryRequest")

for name, value in [
    ("binder", finished(binder_key, digest(truncated_hello))),
    ("client_handshake", client),
    ("server_handshake", server),
    ("server_finished", finished(server, hello_hash)),
    ("client_finished", finished(client, hello_hash)),
    ("client_application", client_application),
    ("server_application", expand_label(master, b"s ap traffic", finished_hash)),
    ("client_application_next", expand_label(client_application, b"traffic upd", b"")),
    ("retry_transcript", retry_hash),
]:
    print(name, value.hex())
