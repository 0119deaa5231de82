"""Made-up container names: adjective_noun."""

from __future__ import annotations

import os

_ADJECTIVES = (
    "able agile alert amber ample apt ardent aware bold brave breezy bright brisk calm candid careful cheerful civil "
    "clear clever cosy crisp curious daring deft diligent eager earnest easy elated epic exact fair faithful fearless "
    "fine fond frank fresh friendly gentle gifted glad golden graceful grand happy hardy hearty honest hopeful humble "
    "ideal jolly jovial keen kind lively loyal lucid lucky mellow merry mighty modest neat nimble noble patient "
    "peaceful placid plucky polite proud prudent quick quiet quirky rapid ready relaxed robust serene sharp silent "
    "silver sincere smart snug sober steady stoic sturdy subtle sunny swift tender tidy tranquil trusty upbeat valiant "
    "vibrant vivid warm wise witty zealous zesty"
)
_NOUNS = (
    "abel agnesi ampere archimedes avogadro babbage bell bernoulli bessel bohr boole born bose brahe carson cauchy "
    "cayley celsius chandra cori curie dalton darwin dirac doppler edison einstein elion erdos euclid euler faraday "
    "fermat fermi feynman fisher fleming fourier franklin galileo galois gauss germain goodall hamilton hawking "
    "heisenberg hertz hilbert hodgkin hopper hubble hypatia jacobi joule kepler kirch kovalevskaya lagrange lamarr "
    "laplace lavoisier leavitt leibniz linnaeus lovelace maxwell mayer mcclintock meitner mendel mirzakhani newton "
    "nightingale nobel noether ohm pascal pasteur pauli payne perlman planck poincare ptolemy ramanujan raman ride "
    "riemann ritchie roentgen rubin rutherford sagan salk shannon snell swan tesla torvalds turing volta wiles wu yalow"
)


def make_name(attempt: int) -> str:
    """One name at random; after a few attempts a digit follows, so that a full house still finds one."""
    adjectives, nouns = _ADJECTIVES.split(), _NOUNS.split()
    number = int.from_bytes(os.urandom(4), "little")
    name = adjectives[number % len(adjectives)] + "_" + nouns[number // 4096 % len(nouns)]
    return name if attempt < 3 else name + str(number >> 28 if attempt < 20 else number)


def of_length(length: int, count: int) -> list[str]:
    """At most ``count`` different names of ``length`` characters, at random."""
    nouns: dict[int, list[str]] = {}
    for noun in _NOUNS.split():
        nouns.setdefault(len(noun), []).append(noun)
    pairs = [a + "_" + n for a in _ADJECTIVES.split() for n in nouns.get(length - len(a) - 1, ())]
    first = int.from_bytes(os.urandom(4), "little")
    step = max(1, len(pairs) // count)
    return [pairs[(first + i * step) % len(pairs)] for i in range(min(count, len(pairs)))]
