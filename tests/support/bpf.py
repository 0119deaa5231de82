"""Judges of seccomp programs that share no code with the compiler: an interpreter, and naive profile semantics."""

from __future__ import annotations

import struct

AUDIT = {"x86_64": 0xC000003E, "i386": 0x40000003, "aarch64": 0xC00000B7, "arm": 0x40000028}
LOW = 0xFFFFFFFF


def run(code: bytes, arch: int, nr: int, args: tuple[int, ...] = ()) -> int:
    """What the kernel would answer (classic BPF as seccomp_check_filter allows it); counts no steps twice."""
    return steps(code, arch, nr, args)[0]


def steps(code: bytes, arch: int, nr: int, args: tuple[int, ...] = ()) -> tuple[int, int]:
    """(answer, instructions executed)."""
    padded = [*args, *[0] * (6 - len(args))]
    data = struct.pack("<IIQ6Q", nr & LOW, arch, 0, *(value & (1 << 64) - 1 for value in padded))
    accumulator = 0
    place = 0
    for count in range(1, 5000):
        op, yes, no, k = struct.unpack_from("<HBBI", code, place * 8)
        place += 1
        if op == 0x20:
            assert k % 4 == 0
            accumulator = struct.unpack_from("<I", data, k)[0]
        elif op == 0x06:
            return k, count
        elif op == 0x05:
            place += k
        elif op == 0x54:
            accumulator &= k
        else:
            truth = {0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k}[op]
            place += yes if truth else no
    raise AssertionError("does not end")


def check(code: bytes) -> None:
    """What the kernel checks on attach: known instructions, jumps within the program, a return at the end."""
    total = len(code) // 8
    assert len(code) % 8 == 0
    assert 0 < total <= 4096
    for place in range(total):
        op, yes, no, k = struct.unpack_from("<HBBI", code, place * 8)
        assert op in (0x20, 0x06, 0x05, 0x54, 0x15, 0x25, 0x35)
        if op == 0x05:
            assert place + 1 + k < total
        elif op in (0x15, 0x25, 0x35):
            assert place + 1 + max(yes, no) < total
        elif op == 0x20:
            assert k < 64
    assert struct.unpack_from("<H", code, len(code) - 8)[0] == 0x06


def holds(argument: dict[str, object], args: tuple[int, ...]) -> bool:
    """One condition of a profile, on 64-bit arguments."""
    have = args[argument["index"]]  # type: ignore[index]
    value = argument["value"]
    return {
        "SCMP_CMP_EQ": have == value,
        "SCMP_CMP_NE": have != value,
        "SCMP_CMP_LT": have < value,  # type: ignore[operator]
        "SCMP_CMP_LE": have <= value,  # type: ignore[operator]
        "SCMP_CMP_GT": have > value,  # type: ignore[operator]
        "SCMP_CMP_GE": have >= value,  # type: ignore[operator]
        "SCMP_CMP_MASKED_EQ": have & value == argument.get("valueTwo", 0) & value,  # type: ignore[operator]
    }[argument["op"]]  # type: ignore[index]
