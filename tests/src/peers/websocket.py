"""A WebSocket server that sends every message back, and a client that holds it to that.

serve ADDRESS PORT
ask URL ADDRESS:PORT AUTHORITY
"""

import asyncio
import hashlib
import ssl
import sys
import urllib.parse

import websockets

# Bytes of messages: around each border of the framing, up to 1 MB.
SIZES = [1, 2, 125, 126, 127, 1000, 16384, 65535, 65536, 65537, 300000, 1 << 20]


async def echo(socket, path=None):
    try:
        while (message := await socket.recv()) != "farewell":
            await socket.send(message)
        # The server is the first to close.
        await socket.close(code=4001, reason="as you wish")
    except websockets.ConnectionClosed:
        print("closed by the client:", socket.close_code, socket.close_reason)


async def serve(address, port):
    async with websockets.serve(echo, address, int(port), max_size=4 << 20):
        await asyncio.Future()


def content(size):
    """Bytes that no other size begins with."""
    block = hashlib.sha256(str(size).encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def connect(url, server, authority):
    context = ssl.create_default_context(cafile=authority)
    context.set_alpn_protocols(["http/1.1"])
    host, port = server.rsplit(":", 1)
    name = urllib.parse.urlsplit(url).hostname
    return websockets.connect(
        url, ssl=context, host=host, port=int(port), server_hostname=name, max_size=4 << 20
    )


async def ask(url, server, authority):
    async with connect(url, server, authority) as socket:
        for size in SIZES:
            sent = content(size)
            await socket.send(sent)
            assert await socket.recv() == sent, size
            text = sent.hex()[:size]
            await socket.send(text)
            assert await socket.recv() == text, size
        # Many at once: both directions are full.
        await asyncio.gather(*[socket.send(content(size)) for size in SIZES])
        for size in SIZES:
            assert await socket.recv() == content(size), size
        await asyncio.wait_for(await socket.ping(b"are you there"), 60)
        await socket.close(code=4000, reason="that is all")
        assert socket.close_code == 4000, socket.close_code
    print("echoed", len(SIZES) * 3)
    async with connect(url, server, authority) as socket:
        await socket.send("farewell")
        try:
            await socket.recv()
            raise AssertionError("a message behind the end")
        except websockets.ConnectionClosed:
            print("closed by the server:", socket.close_code, socket.close_reason)


async def main(role, *words):
    work = {"serve": serve, "ask": ask}[role](*words)
    await (work if role == "serve" else asyncio.wait_for(work, 100))


asyncio.run(main(*sys.argv[1:]))
