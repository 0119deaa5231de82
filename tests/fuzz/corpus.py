"""Writes tests/fuzz/corpus: ``python3 -m tests.fuzz.corpus`` (with PYTHONPATH=packaging). The same bytes each time.

Small examples of what each target reads, with every feature of the format once; libFuzzer goes on from there.
"""

from __future__ import annotations

import gzip
import shutil
import struct
import zlib
from pathlib import Path

from pod.core.network import wire
from pod.core.runtime import plan
from tests.ext import test_fuzz
from tests.ext.unpacking import END, file, folder, hardlink, header, symlink
from tests.support import dns

CORPUS = Path(__file__).resolve().parent / "corpus"
BUILD = "0" * 32
ZSTD = bytes.fromhex("28b52ffd2004210000 61626364".replace(" ", ""))
"""A frame of one raw block: "abcd"."""
SKIPPABLE = bytes.fromhex("502a4d1803000000") + b"xyz"


def archives() -> dict[str, bytes]:
    """Of tests/ext/test_fuzz.py, those that are not compressed, and some small ones."""
    samples = {f"sample{number}": data for number, data in enumerate(test_fuzz.samples()[:3])}
    samples["links"] = folder(b"d") + symlink(b"l", b"d") + file(b"l/x", b"1") + hardlink(b"h", b"d/x") + END
    samples["existing"] = file(b"f", b"new") + file(b"s/file", b"away") + folder(b"d/g") + symlink(b"d", b"/") + END
    samples["special"] = header(b"p", b"6") + header(b"c", b"3", device=(1, 3)) + file(b"d/.wh.g") + END
    return samples


def decodes() -> dict[str, bytes]:
    """A first byte for the sizes, then stored bytes of each kind."""
    tar = file(b"f", b"text" * 50) + END
    member = gzip.compress(b"abc" * 100, mtime=0)
    named = bytes([31, 139, 8, 30, 0, 0, 0, 0, 0, 3]) + b"\3\0abc" + b"name\0" + b"comment\0"
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(b"x") + packer.flush()
    head = named + struct.pack("<H", zlib.crc32(named) & 0xFFFF) + body + struct.pack("<II", zlib.crc32(b"x"), 1)
    whole = {
        "plain": tar,
        "gzip": gzip.compress(tar, mtime=0),
        "members": member + gzip.compress(b"", mtime=0) + member,
        "padded": member + bytes(40),
        "garbage": member + b"garbage",
        "header": head,
        "cut": member[:-3],
        "zstd": ZSTD,
        "frames": ZSTD + SKIPPABLE + ZSTD,
        "skipped": SKIPPABLE,
    }
    return {name: bytes([number % 4]) + data for number, (name, data) in enumerate(whole.items())}


def writer() -> plan.PlanWriter:
    """One value of every type, and what the readers look for by name."""
    made = plan.PlanWriter()
    made.text("ID", "a" * 64)
    made.number("FLAGS", plan.TTY | plan.REMOVE)
    made.texts("EXPLAIN", ["/usr/bin/pod", "__explain", "some_name", "sh"])
    made.texts("ENV", ["A=1", "B="])
    made.text("RESTART", "on-failure:3")
    made.number("RESTART_PAUSE", 100 << 32 | 60000)
    made.blob("RLIMITS", plan.u32(7, 0) + plan.u64(64) + plan.u64(64))
    return made


def plans() -> dict[str, bytes]:
    """One with mounts, one without anything, one that is cut."""
    full = writer()
    strings = b"\0proc\0/proc\0/data\0"
    full.blob("MOUNTS", plan.u32(plan.FS, 0, 0, 0, 1, 6, 1, 0) + plan.u32(plan.BIND, 2, 0, 0, 12, 12, 0, 0))
    full.blob("STRINGS", strings)
    return {"full": full.finish(BUILD), "small": plan.PlanWriter().finish(BUILD), "cut": full.finish(BUILD)[:-9]}


def inputs() -> tuple[bytes, bytes]:
    """(P_INPUTS, P_TEXT) with each kind of input once; those of files are not as the file is."""
    table, text = [], bytearray()
    asked = [(1, "/etc/passwd", ""), (2, "/", ""), (3, "/tmp", ""), (4, "/none", ""), (5, "/proc/self/exe", "x")]
    asked += [(6, "/proc/self/comm", "x"), (7, "/proc/self/status", "Uid:"), (8, "/", ""), (9, "/", ""), (10, "", "")]
    asked += [(11, "HOME", "/root"), (12, "", ""), (13, "host 6 x", ""), (14, "/proc/self/stat", ""), (0x102, "/", "")]
    for kind, first, second in reversed(asked):
        table.append(plan.u32(kind, len(text)) + plan.u64(2 if kind == 4 else 4) + bytes(32))
        text += first.encode() + b"\0" + second.encode() + b"\0"
    return b"".join(table), bytes(text) + b"\0\0"


def prepared() -> dict[str, bytes]:
    """A run's file, an exec's, one whose every input would be looked at, one with processors of each start's own."""
    made = writer()
    made.texts("P_PREFIX", ["/usr/bin/python3", "/usr/bin/pod", "run", "-d", "busybox"])
    made.number("P_FLAGS", 1)
    made.texts("P_PLACES", ["/c", "/n", "/i", "/r", "boot"])
    made.texts("P_NAMES", ["some_name", "else_name"])
    made.texts("P_ENTRY", ["sh"])
    marks = "".join(f'"{mark}":\1{mark},' for mark in "IiNTPSARC")
    made.blob("P_CONFIG", ('{"Id":"\1I",' + marks + "}").encode())
    for key in ("P_HOSTNAME", "P_HOSTS", "P_RESOLV"):
        made.blob(key, b"127.0.0.1 \1i\n")
    table, text = inputs()
    made.blob("P_INPUTS", table)
    made.blob("P_TEXT", text)
    made.blob("P_PATCHES", plan.u32(0, 1, 64))
    first = made.finish(BUILD)
    at = plan.offsets(first)["ID"]
    made.blob("P_PATCHES", plan.u32(at, 1, 64))
    joins = writer()
    joins.texts("P_PREFIX", ["/usr/bin/python3", "/usr/bin/pod", "exec", "c"])
    joins.number("P_FLAGS", 5)
    joins.texts("P_ENTRY", [])
    found = {"run": made.finish(BUILD), "exec": joins.finish(BUILD), "patched": first}
    made.number("P_FLAGS", 1 | 1 << 32)
    made.blob("AFFINITY", b"\1" + bytes(7))
    made.text("LIMITS", '{"by":{"NanoCpus":"affinity"},"affinity":[0],"nproc":5}')
    return {**found, "by turns": made.finish(BUILD)}


def frames() -> dict[str, bytes]:
    """Programs of steps (fuzz_frame.c)."""

    def frame(client: int, kind: str, value: int = 0, data: bytes = b"") -> bytes:
        return struct.pack("<BBBBIH", 0, client, ord(kind), 0, value, len(data)) + data

    turn, read, stdin = b"\4", b"\2\0", b"\7"
    talk = frame(0, "I", 0, b"input") + turn + stdin + turn + read + frame(0, "E") + turn
    late = b"\5\0" + turn + frame(1, "A", 6) + turn + b"\6\0\x10\0" + turn + b"\2\1" + b"\3\1" + turn
    odd = b"\1\0\3abc" + turn + frame(0, "?") + turn + frame(0, "S", 15) + frame(0, "W", 0x180050) + turn
    pause = frame(0, "P", 1) + turn + read + frame(0, "P", 0) + frame(0, "Q") + frame(0, "D") + turn
    slow = (b"\6\0\0\x80" + turn) * 6 + frame(0, "I", 0, b"x" * 300) + frame(0, "I", 0, b"y" * 300) + turn * 3
    gone = b"\3\0" + turn + b"\x08" + b"\6\1\5\0" + turn + b"\x09\0" + turn
    steps = {"talk": talk, "late": late, "odd": odd, "pause": pause, "slow": slow, "gone": gone}
    return {name: bytes([number]) + data for number, (name, data) in enumerate(steps.items())}


def databases() -> dict[str, bytes]:
    """USER, a further group, passwd, group."""
    users = b"root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/var/www:\nodd:x\n:x:1:1:::\nbig:x:4294967296:0:::\n"
    groups = b"root:x:0:\nwww:x:33:\nusers:x:100:www,root\nodd\ndaemon:x:-1:www\n"
    asked = {"name": b"www", "number": b"33:100", "both": b"www:users", "none": b"", "unknown": b"nobody:7"}
    asked["minus"] = b"-1"
    made = {name: user + b"\0users\0" + users + b"\0" + groups for name, user in asked.items()}
    made["long"] = b"last\0\0" + b"x" * 5000 + b"\nlast:x:5:6::/home" + b"\0"
    return made


def rows() -> bytes:
    """Two rows of a sidecar, one that is torn, one more; checks as emulator/sidecar.c has them."""

    def row(ino: int, uid: int) -> bytes:
        head = struct.pack("<QQqIIIII", 0, ino, 0, uid, 5, 0, 0, 0)
        value = 2166136261
        for (word,) in struct.iter_unpack("<I", head):
            value = (value ^ word) * 16777619 & 0xFFFFFFFF
        return head + struct.pack("<I", (value ^ value >> 15) | 1)

    assert len(row(1, 2)) == 48
    return row(1, 2) + row(3, 4) + row(5, 6)[:20] + row(1, 9)


def owners() -> bytes:
    """A layer's file of owners with one device, one attribute."""
    found = b""
    places = []
    for path, xattr in ((b"a", b""), (b"a/b", struct.pack("<HI", 6, 3) + b"user.avxy"[:6] + b"abc")):
        body = struct.pack("<IIIIII HH", 7, 1, 2, 0o100644, 1, 3, len(path), bool(xattr)) + path + b"\0" + xattr
        length = (len(body) + 4 + 7) // 8 * 8
        places.append(64 + len(found))
        found += struct.pack("<I", length) + body + bytes(length - len(body) - 4)
    index = 64 + len(found)
    head = struct.pack("<8sIIQQQ", b"podowner", 1, 64, len(places), index, index + 8 * len(places))
    return head + bytes(64 - len(head)) + found + struct.pack(f"<{len(places)}Q", *places)


def records() -> dict[str, bytes]:
    """A first byte for the kind."""
    return {
        "owner": b"\0" + b"1000:1000",
        "device": b"\0" + b"0:5:c:1:3",
        "sidecar": b"\1" + rows(),
        "owners": b"\2" + owners(),
        "changes": b"\3" + b'{"Name":"/other","RestartPolicy":"on-failure:3"}\n',
        "always": b"\3" + b'{"RestartPolicy":"always"}',
    }


def logs() -> dict[str, bytes]:
    """A first byte for the kind, a second one for the sizes."""
    texts = {
        "plain": b"a line of sixteen and more characters\n" * 3,
        "odd": b'quote " backslash \\ tab \t bell \7 del \x7f\n\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff\xc3\n',
        "cut": b"no end \xe2\x82",
    }
    kinds = ("escape", "line", "quote", "gzip", "journald")
    return {f"{kind}-{name}": bytes([n, 9]) + text for n, kind in enumerate(kinds) for name, text in texts.items()}


def messages() -> dict[str, bytes]:
    """The length of a question, the question, an answer."""
    plain, edns = dns.question("www.example"), dns.question("Www.Example", dns.ANY, edns=1400, flags=0x0130)
    records = (
        dns.address("192.0.2.7"),
        dns.address("2001:db8::7"),
        dns.record(dns.CNAME, dns.name("other") + b""),
        dns.record(dns.MX, b"\0\1" + dns.POINTER),
        dns.record(dns.SRV, b"\0" * 6 + dns.name("a.b")),
        dns.record(dns.SOA, dns.POINTER * 2 + bytes(20)),
        dns.record(dns.TXT, b"\3abc", owner=dns.name("else")),
    )
    answers = {
        "one": (plain, dns.reply(plain, records[0])),
        "all": (plain, dns.reply(plain, *records)),
        "edns": (edns, dns.reply(edns, *records)),
        "cut": (plain, dns.reply(plain, *records, flags=0x8380)[:-9]),
        "bare": (plain, plain[:2] + struct.pack(">5H", 0x8185, 0, 0, 0, 0)),
        "loop": (plain, dns.reply(plain, dns.record(dns.CNAME, b"\xc0\x29"))),
        "reverse": (dns.question("7.2.0.192.in-addr.arpa", dns.PTR), b""),
        "version": (edns[:-6] + b"\0\1" + edns[-4:], b""),
    }
    return {name: struct.pack(">H", len(asked)) + asked + answer for name, (asked, answer) in answers.items()}


def orders() -> dict[str, bytes]:
    """Messages to and from netd, and who reads them (fuzz_wire.c)."""
    item, address = wire.item, wire.address
    block = address("172.18.0.0") + address("172.18.0.1") * 2 + address("172.18.255.254") + bytes((16, 4, 0, 0))
    end = item("END", b"") + item("NET_ID", b"a" * 64) + item("NET_NAME", b"one") + item("BRIDGE", b"br-1")
    end += item("NET_FLAGS", bytes(4)) + item("SUBNET", block)
    port = item("PORT", wire.ANY_V4 + struct.pack("<HHHBB", 80, 90, 80, 6, 1)) + item("PORTS", bytes(4))
    who = item("CONTAINER", b"c" * 64) + item("NAME", b"web") + item("HOSTNAME", b"here")
    who += item("HOST_GATEWAY", b"\1\0\0\0") + item("SERVER", b"192.0.2.1") + item("FDS", b"\37\0\0\0") + port
    asked = item("ALIAS", b"db") + item("LINK", b"x=" + b"d" * 64) + item("ADDRESS", address("172.18.0.5"))
    asked += item("MAC", b"\2\1\1\1\1\1") + item("TAKEN", address("172.18.0.6")) + item("PRIORITY", b"\1\0\0\0")
    lease = address("172.18.0.5") + bytes(16) + b"\2\1\1\1\1\1\0\0" + b"eth0".ljust(16, b"\0") + bytes(208)
    lease = item("LEASE", lease)
    told = port[-8:] + end + lease + item("STATE", b'{"Networks":{}}') + item("HOSTS", b"172.18.0.5\there\n")
    messages_ = {
        "register": (2, who + end + asked + lease), "connect": (4, end + asked), "done": (7, told),
        "disconnect": (5, item("NET_ID", b"a" * 64)), "rename": (6, item("NAME", b"new")),
        "failed": (8, item("STEP", b"PUBLISH") + item("ERRNO", b"\142\0\0\0") + item("PATH", b"0.0.0.0:80/tcp")),
    }  # fmt: skip
    found = {}
    for name, (kind, items) in messages_.items():
        head = struct.pack("<IHHII", 0x54454E50, 1, kind, 7, len(items))
        found |= {f"{name}-{reader}": bytes([reader]) + head + items for reader in (0, 1)}
    return found


def main() -> None:
    """Everything anew."""
    shutil.rmtree(CORPUS, ignore_errors=True)
    layers = {f"{name}-{how}": bytes([how]) + data for name, data in archives().items() for how in (0, 1, 34)}
    every = {"tar": archives(), "layer": layers, "decode": decodes(), "plan": plans(), "passwd": databases()}
    every |= {
        "prepared": prepared(),
        "frame": frames(),
        "records": records(),
        "copy": archives(),
        "log": logs(),
        "dns": messages(),
        "wire": orders(),
    }
    for target, samples in every.items():
        (CORPUS / target).mkdir(parents=True)
        for name, data in samples.items():
            (CORPUS / target / name).write_bytes(data)


if __name__ == "__main__":
    main()
