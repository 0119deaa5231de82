"""Seccomp profiles compiled to classic BPF, so that attaching them is cheap.

When a filter is attached the kernel runs it once for every system call number (seccomp_cache_prepare, 5.11); a linear
program, as libseccomp's default one, makes that hundreds of microseconds. Here each ABI's numbers are cut into ranges
of one outcome, neighbours merged, and found by a binary search:

    load arch → which ABI, or kill
    (x86_64) numbers with bit 30 are x32's → ENOSYS, but -1 passes: a tracer skips a call that way
    load number → jge … jge → return, or tests of arguments and then return

Struct seccomp_data: u32 nr, u32 arch, u64 instruction_pointer, u64 args[6]; all machines of ours are little endian.
"""

from __future__ import annotations

import struct

from pod.core.errors import HostUnsupported, UsageError
from pod.core.runtime.seccomp_profile import ALLOW, ENOSYS, ERRNO, KILL_PROCESS, numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pod.core.runtime.seccomp_profile import Condition, Profile, Rule

    Alternatives = list[tuple[tuple[Condition, ...], int]]
    """(conditions, action) in order"""
    Chain = tuple[tuple[tuple[Condition, ...], int], ...]
    """The same; the last has no conditions."""
    Code = list[tuple[int, int, int, int]]
    """(code, jt, jf, k)"""
    Line = tuple[str, int, str, str]
    """(operation, k, label if true, label if false); "" is the next line. ("label", 0, name, "") marks a place."""

_AUDIT_ARCH = {"x86_64": 0xC000003E, "i386": 0x40000003, "aarch64": 0xC00000B7, "arm": 0x40000028}
_ABIS = {"x86_64": ("x86_64", "i386"), "aarch64": ("aarch64", "arm")}
_X32_BIT = 0x40000000
_NO_CALL = 0xFFFFFFFF
_ARM_PRIVATE = 0x0F0000
_USUAL_END = 470
_REACH = 250
_SINGLES = 4
"""So many numbers at most are asked for one by one."""
_LD, _JA, _JEQ, _JGT, _JGE, _AND, _RET = 0x20, 0x05, 0x15, 0x25, 0x35, 0x54, 0x06
_OPCODES = {"ld": _LD, "and": _AND, "jeq": _JEQ, "jgt": _JGT, "jge": _JGE, "ret": _RET}
_LOW = 0xFFFFFFFF
_MAX_INSTRUCTIONS = 4096
_MAX_RANGES = 60
_STRICTNESS = (KILL_PROCESS, 0, 0x00030000, ERRNO, 0x7FF00000, 0x7FFC0000, ALLOW)
_PASSES = 4
"""From here on in _STRICTNESS (trace, log, allow) the kernel would take another filter's "ask the listener" instead."""


def compile_filter(
    machine: str, profile: Profile, overrides: tuple[Rule, ...], listening: tuple[Rule, ...] = ()
) -> bytes:
    """The program as struct sock_filter[]. Rules of ``overrides`` come before the profile's, those of ``listening``
    decide about what it would let pass: as a second filter would, whose check by the kernel costs as much again.

    HostUnsupported for a machine without tables; UsageError for a profile that gives more than 4096 instructions.
    """
    abis = _ABIS.get(machine)
    if abis is None:
        raise HostUnsupported(
            f"seccomp: {machine}: no table of system calls for this machine",
            hint="run without a filter: --security-opt seccomp=unconfined",
        )
    covered = [abi for abi in abis if abi in profile.arches]
    blocks = [(_AUDIT_ARCH[abi], _abi_block(abi, _ranges(abi, profile, overrides, listening))) for abi in covered]
    code: Code = [(_LD, 0, 0, 4)]
    for audit, block in blocks:
        code.append((_JEQ, 1, 0, audit))
        code.append((_JA, 0, 0, len(block)))
        code += block
    code.append((_RET, 0, 0, KILL_PROCESS))
    if len(code) > _MAX_INSTRUCTIONS:
        raise UsageError(f"seccomp profile: too large: {len(code)} instructions, the kernel takes {_MAX_INSTRUCTIONS}")
    return b"".join(struct.pack("<HBBI", *line) for line in code)


def _abi_block(abi: str, ranges: list[tuple[int, Chain]]) -> Code:
    code: Code = [(_LD, 0, 0, 0)]
    if abi == "x86_64":
        code += [
            (_JGE, 0, 3, _X32_BIT),
            (_JEQ, 0, 1, _NO_CALL),
            (_RET, 0, 0, ALLOW),
            (_RET, 0, 0, ERRNO | ENOSYS),
        ]
    if abi != "x86_64":
        ranges.append((_NO_CALL, (((), ALLOW),)))
    return code + _Search().code(ranges)


def _ranges(
    abi: str, profile: Profile, overrides: tuple[Rule, ...], listening: tuple[Rule, ...]
) -> list[tuple[int, Chain]]:
    """(first number, outcome) in order, from 0; neighbours differ."""
    table = numbers(abi)
    chains = _by_number(table, sorted(profile.rules, key=lambda rule: _strictness(rule.action)))
    first, asked = _by_number(table, overrides), _by_number(table, listening)
    last = max((table[n] for n in profile.mentioned if table.get(n, _ARM_PRIVATE) < _ARM_PRIVATE), default=_NO_CALL)
    default: Chain = (((), profile.default),)
    beyond: Chain = default if profile.default == ALLOW else (((), ERRNO | ENOSYS),)

    ranges: list[tuple[int, Chain]] = []

    def put(number: int, chain: Chain) -> None:
        if not ranges or ranges[-1][1] != chain:
            ranges.append((number, chain))

    known = sorted({*chains, *first, *asked, last + 1} - {_NO_CALL + 1})
    put(0, default)
    for place, number in enumerate(known):
        rest = default if number <= last else beyond
        if number in chains or number in first or number in asked:
            if ranges[-1][0] == number:
                ranges.pop()
            chain = _finish([*first.get(number, ()), *chains.get(number, ())], rest[-1][1])
            put(number, _finish(_ask(chain, asked[number]), ALLOW) if number in asked else chain)
            number += 1
        if place + 1 == len(known) or known[place + 1] != number:
            put(number, default if number <= last else beyond)
    return ranges


def _strictness(action: int) -> int:
    base = action if action in _STRICTNESS else action & 0xFFFF0000
    return _STRICTNESS.index(base)


def _by_number(table: dict[str, int], rules: Iterable[Rule]) -> dict[int, Alternatives]:
    chains: dict[int, Alternatives] = {}
    for rule in rules:
        for name in rule.names:
            number = table.get(name)
            if number is not None:
                chains.setdefault(number, []).append((rule.conditions, rule.action))
    return chains


def _ask(chain: Chain, asked: Alternatives) -> Alternatives:
    """What ``chain`` lets pass is for ``asked`` to decide: the stricter of both, as of two filters."""
    result: Alternatives = []
    for conditions, action in chain:
        if _strictness(action) >= _PASSES:
            result += [((*conditions, *more), action if answer == ALLOW else answer) for more, answer in asked]
        result.append((conditions, action))
    return result


def _finish(alternatives: Alternatives, default: int) -> Chain:
    """The alternatives up to the first without conditions; ``default`` ends the chain where there is none."""
    chain: dict[tuple[tuple[Condition, ...], int], None] = {}
    for conditions, action in alternatives:
        chain[conditions, action] = None
        if not conditions:
            return tuple(chain)
        if len(chain) > _MAX_INSTRUCTIONS:
            raise UsageError(f"seccomp profile: too large: more than {_MAX_INSTRUCTIONS} conditions on one call")
    return (*chain, ((), default))


class _Search:
    """Writes the search from its last instruction to its first, so that every jump knows how far it goes.

    Places count from the end. Answers (returns, and tests of arguments) are shared, since the price of a filter
    is first of all its length (it is checked and translated to machine code on attach); a jump reaches 255
    instructions, then the answer is written again, or a relay.
    """

    __slots__ = ("_answers", "_reversed")

    def __init__(self) -> None:
        self._reversed: Code = []
        self._answers: dict[Chain, int] = {}

    def code(self, ranges: list[tuple[int, Chain]]) -> Code:
        """Finds the range of the number in the accumulator and answers."""
        if self._tree(ranges, _NO_CALL + 1) < 0:
            self._near(-1, ranges[0][1])
        return self._reversed[::-1]

    def _tree(self, ranges: list[tuple[int, Chain]], end: int) -> int:
        """Place of the tree's first instruction; -1 where it is nothing but an answer, which is shared.

        Cut where half of the numbers below ``end`` are on each side: the kernel asks for every number on attach.
        """
        if len(ranges) == 1:
            return -1
        singles = _singles(ranges, end)
        if singles:
            place = self._near(-1, singles[0][1])
            for number, chain in singles[1:]:
                found = self._near(-1, chain)
                place = self._near(place, singles[0][1])  # the other one was long
                here = len(self._reversed)
                self._reversed.append((_JEQ, here - found - 1, here - place - 1, number))
                place = here
            return place
        half = (ranges[0][0] + min(end, _USUAL_END)) // 2
        middle = min(range(1, len(ranges)), key=lambda place: abs(ranges[place][0] - half))
        start = ranges[middle][0]
        high = self._tree(ranges[middle:], end)
        low = self._tree(ranges[:middle], start)
        high = self._near(high, ranges[middle][1])
        low = self._near(low, ranges[middle - 1][1])
        if len(self._reversed) - high > _REACH:  # the other one was long
            high = self._near(high, ranges[middle][1])
        here = len(self._reversed)
        self._reversed.append((_JGE, here - high - 1, here - low - 1, start))
        return here

    def _near(self, place: int, chain: Chain) -> int:
        """A place within reach of what comes next that does what ``place`` does; -1 is the answer of ``chain``."""
        here = len(self._reversed)
        if place < 0:
            place = self._answers.get(chain, -_REACH - 1)
            if here - place <= _REACH:
                return place
            self._reversed += _leaf(chain)[::-1]
            self._answers[chain] = len(self._reversed) - 1
            return len(self._reversed) - 1
        if here - place <= _REACH:
            return place
        self._reversed.append((_JA, 0, 0, here - place - 1))
        return here


def _singles(ranges: list[tuple[int, Chain]], end: int) -> list[tuple[int, Chain]]:
    """Where it is shorter to ask for single numbers: the answer of all others first; else nothing.

    Half as many instructions as the cuts before and behind each of them, and not many that a number passes.
    """
    ends = [start for start, _ in ranges[1:]] + [end]
    wide = {chain for (start, chain), after in zip(ranges, ends) if after - start > 1}
    others = wide.pop() if wide else ranges[0][1]
    singles = [entry for entry in ranges if entry[1] != others]
    few = not wide and len(singles) <= _SINGLES and len(singles) < len(ranges) - 1
    return [(0, others), *singles] if few else []


def _leaf(chain: Chain) -> Code:
    code: Code = []
    place = 0
    while place < len(chain):
        conditions, action = chain[place]
        place += 1
        intervals = _intervals(conditions)
        if intervals is None:
            lines = [line for number, condition in enumerate(conditions) for line in _test(condition, f"done{number}")]
        else:
            # Alternatives on one argument with one action become one list of ranges: loaded once, two jumps each.
            index = conditions[0][0]
            while place < len(chain) and chain[place][1] == action:
                more = _intervals(chain[place][0])
                if more is None or chain[place][0][0][0] != index:
                    break
                intervals += more
                place += 1
            code += _interval_blocks(index, intervals, action)
            continue
        code += _assemble([*lines, ("ret", action, "", ""), ("label", 0, "fail", "")])
    return code


def _intervals(conditions: tuple[Condition, ...]) -> list[tuple[int, int]] | None:
    """The one condition as ranges of a number below 2^32; None where it is not that."""
    if len(conditions) != 1:
        return None
    _, op, value, _ = conditions[0]
    high = {"EQ": value, "LE": value, "LT": value - 1}.get(op, -1)
    if not 0 <= high <= _LOW:
        return None
    return [(value if op == "EQ" else 0, high)]


def _interval_blocks(index: int, intervals: list[tuple[int, int]], action: int) -> Code:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    code: Code = []
    for start in range(0, len(merged), _MAX_RANGES):
        lines: list[Line] = [("ld", 20 + 8 * index, "", ""), ("jeq", 0, "", "fail"), ("ld", 16 + 8 * index, "", "")]
        for place, (low, high) in enumerate(merged[start : start + _MAX_RANGES]):
            after = f"after{place}"
            lines += [("jgt", high, after, ""), ("jge", low, "pass", "fail"), ("label", 0, after, "")]
        lines += [("jeq", 0, "fail", "fail"), ("label", 0, "pass", ""), ("ret", action, "", "")]
        code += _assemble([*lines, ("label", 0, "fail", "")])
    return code


def _test(condition: Condition, done: str) -> list[Line]:
    """Falls through (by ``done``, a label of its own) where the condition holds, goes to "fail" where not.

    Arguments are 64 bits: high half, then low.
    """
    index, op, value, second = condition
    high, low = ("ld", 20 + 8 * index, "", ""), ("ld", 16 + 8 * index, "", "")
    over, under = value >> 32, value & _LOW
    if op == "EQ":
        return [high, ("jeq", over, "", "fail"), low, ("jeq", under, "", "fail")]
    if op == "MASKED_EQ":
        # libseccomp: (argument & value) == (second & value)
        second &= value
        lines: list[Line] = []
        if over:
            lines += [high, ("and", over, "", ""), ("jeq", second >> 32, "", "fail")]
        return [*lines, low, ("and", under, "", ""), ("jeq", second & _LOW, "", "fail")]
    end: Line = ("label", 0, done, "")
    if op == "NE":
        return [high, ("jeq", over, "", done), low, ("jeq", under, "fail", ""), end]
    if op in ("GT", "GE"):
        last: Line = ("jgt" if op == "GT" else "jge", under, "", "fail")
        return [high, ("jgt", over, done, ""), ("jeq", over, "", "fail"), low, last, end]
    # LT and LE are the negations of GE and GT.
    last = ("jge" if op == "LT" else "jgt", under, "fail", "")
    return [high, ("jgt", over, "fail", ""), ("jeq", over, "", done), low, last, end]


def _assemble(lines: list[Line]) -> Code:
    """Labels resolved to distances; each is ahead of its jump and, by the callers' bounds, within 255."""
    places: dict[str, int] = {}
    count = 0
    for op, _, name, _ in lines:
        if op == "label":
            places[name] = count
        else:
            count += 1
    code: Code = []
    for op, k, yes, no in lines:
        if op == "label":
            continue
        following = len(code) + 1
        code.append(
            (_OPCODES[op], places[yes] - following if yes else 0, places[no] - following if no else 0, k),
        )
    return code
