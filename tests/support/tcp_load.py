"""Connections of many kinds at once, by both ends of which everything is checked: a program for inside and outside.

    tcp_load.py serve PORT                           until it is killed
    tcp_load.py load ADDRESS PORT COUNT AT_ONCE      prints JSON: how many of each kind ended well, and what did not

A client's first 16 bytes tell the kind, a seed and a size. The kinds:

    echo      what is sent comes back, then each side's end in its turn
    fetch     SIZE bytes come, then the end
    push      SIZE bytes go, half-close; the server reads slowly and answers with the digest of what it got
    drop      the client resets amid; the server sees a reset (it counts them)
    kick      the server resets amid; the client sees a reset
    tell      the server's counts
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import socket
import struct
import sys
from collections import Counter

KINDS = ("echo", "fetch", "push", "drop", "kick", "tell")
HEAD = struct.Struct("<IIQ")
BLOCK = random.Random(1).randbytes(1 << 16)
served: Counter[str] = Counter()


def content(seed: int, size: int) -> bytes:
    """SIZE bytes that no other seed gives."""
    turned = BLOCK[seed % 65521 :] + BLOCK[: seed % 65521]
    return (turned * (size // len(turned) + 1))[:size]


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection by RST."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def serve_bytes(
    kind: str, size: int, seed: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """What a server says of one kind, up to its end."""
    if kind == "echo":
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    elif kind == "fetch":
        writer.write(content(seed, size))
    elif kind == "push":
        digest = hashlib.sha256()
        while data := await reader.read(4096):
            digest.update(data)
            await asyncio.sleep(0)
        writer.write(digest.digest())
    elif kind == "drop":
        await reader.read(-1)
        served["drop: an end, no reset"] += 1
    else:
        writer.write(json.dumps(served).encode())


async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, by what its head asks."""
    try:
        number, seed, size = HEAD.unpack(await reader.readexactly(HEAD.size))
        if KINDS[number] == "kick":
            await reader.read(1)
            reset(writer)
            return
        await serve_bytes(KINDS[number], size, seed, reader, writer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    except ConnectionResetError:
        served["reset"] += 1
    except (asyncio.IncompleteReadError, OSError) as error:
        served[type(error).__name__] += 1
    finally:
        writer.close()


async def connect_one(address: str, port: int, number: int, seed: int) -> str:
    """What became of one connection: its kind where all was right."""
    kind = KINDS[number]
    size = random.Random(seed).choice((1, 100, 5000, 70000, 300000))
    reader, writer = await asyncio.open_connection(address, port)
    data = content(seed, size)
    writer.write(HEAD.pack(number, seed, size))
    try:
        if kind in ("echo", "push"):
            sending = asyncio.ensure_future(send(writer, data))
            got = await reader.read(-1)
            await sending
            wanted = data if kind == "echo" else hashlib.sha256(data).digest()
            return kind if got == wanted else f"{kind}: {len(got)} bytes of {len(wanted)}"
        if kind == "fetch":
            await asyncio.sleep(random.Random(seed).random() / 20)
            got = await reader.read(-1)
            return kind if got == data else f"fetch: {len(got)} bytes of {size}"
        writer.write(data)
        if kind == "drop":
            await writer.drain()
            reset(writer)
            return kind
        try:
            while await reader.read(65536):
                pass
            return "kick: an end, no reset"
        except ConnectionResetError:
            return kind
    finally:
        writer.close()


async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
    writer.write_eof()


async def load(address: str, port: int, count: int, at_once: int) -> dict[str, object]:
    """COUNT connections, AT_ONCE at any time."""
    results: Counter[str] = Counter()
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            try:
                results[await asyncio.wait_for(connect_one(address, port, number % 5, number), 60)] += 1
            except (OSError, asyncio.TimeoutError) as error:
                results[f"{KINDS[number % 5]}: {type(error).__name__} {error}"] += 1

    await asyncio.gather(*(worker() for _ in range(at_once)))
    await asyncio.sleep(0.2)
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(HEAD.pack(5, 0, 0))
    told = json.loads(await reader.read(-1))
    writer.close()
    return {"client": dict(results), "server": told}


async def main() -> None:
    if sys.argv[1] == "serve":
        server = await asyncio.start_server(serve_one, None, int(sys.argv[2]), backlog=4096)
        print("ready", flush=True)
        await server.serve_forever()
    print(json.dumps(await load(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))))


if __name__ == "__main__":
    asyncio.run(main())
