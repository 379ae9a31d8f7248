"""Small computations that differ in form and numbers each time, with their results worked out here.

None of them looks up a name: a notebook may call a variable `sum` or `len` without any harm to these.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

Term = tuple[str, int]
"""An expression, and the whole number that it comes to."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DEPTH = 2
_SECRET_BITS = 48


def secret(rng: Random) -> Term:
    """A computation whose result nobody guesses."""
    text, value = computation(rng)
    large = rng.getrandbits(_SECRET_BITS)
    return f"({text} + {large})", value + large


def computation(rng: Random, depth: int = _DEPTH) -> Term:
    """A computation with a small result, never below zero."""
    if not depth:
        return _literal(rng)
    left, right = computation(rng, depth - 1), computation(rng, depth - 1)
    return rng.choice(_FORMS)(rng, left, right)


def choice(rng: Random, condition: str) -> tuple[str, int, int]:
    """An expression that comes to the first number if the condition holds, and to the second one if not."""
    yes, no = rng.sample(range(100, 100_000), 2)
    return f"({yes} if {condition} else {no})", yes, no


def name(rng: Random) -> str:
    """A name that no notebook uses."""
    return "".join(rng.choices(_LETTERS, k=14))


def true(rng: Random) -> str:
    """A condition that holds."""
    low, high = sorted(rng.sample(range(2, 1000), 2))
    return rng.choice(
        [
            f"{low} < {high}",
            f"{high} != {low}",
            f"not {high} == {low}",
            f"[{low}, {high}] == [{low}, {high}]",
            f"{low / 4} <= {high / 4}",
            f"{high} in ({low}, {high})",
            f"'{low}' == '{low}'",
        ]
    )


def false(rng: Random) -> str:
    """A condition that does not hold, as a test might state it of a wrong answer."""
    low, high = sorted(rng.sample(range(2, 1000), 2))
    return rng.choice(
        [
            f"{low} == {high}",
            f"{high} <= {low}",
            f"not {low} < {high}",
            f"[{low}, {high}] == [{high}, {low}]",
            f"{low / 4} == {high / 4}",
            f"{low} in ({high}, {high + 1})",
            f"'{low}' == '{high}'",
        ]
    )


# --- forms ------------------------------------------------------------------------------------------------------------


def _literal(rng: Random) -> Term:
    value = rng.randrange(2, 100)
    return str(value), value


def _sum(_rng: Random, left: Term, right: Term) -> Term:
    return f"({left[0]} + {right[0]})", left[1] + right[1]


def _product(rng: Random, left: Term, right: Term) -> Term:
    wrap = rng.randrange(1000, 10_000)
    return f"({left[0]} * {right[0]} % {wrap})", left[1] * right[1] % wrap


def _bits(_rng: Random, left: Term, right: Term) -> Term:
    return f"({left[0]} ^ {right[0]})", left[1] ^ right[1]


def _comparison(_rng: Random, left: Term, right: Term) -> Term:
    return f"({left[0]} if {left[0]} < {right[0]} else {right[0]})", min(left[1], right[1])


def _place(rng: Random, left: Term, right: Term) -> Term:
    at = rng.randrange(2)
    return f"({left[0]}, {right[0]})[{at}]", (left[1], right[1])[at]


def _entry(rng: Random, left: Term, right: Term) -> Term:
    one, two = rng.sample(range(100), 2)
    return f"{{{one}: {left[0]}, {two}: {right[0]}}}[{two}]", right[1]


def _function(rng: Random, left: Term, right: Term) -> Term:
    inner = name(rng)
    return f"(lambda {inner}: {inner} + {left[0]})({right[0]})", left[1] + right[1]


def _loop(rng: Random, left: Term, right: Term) -> Term:
    inner = name(rng)
    return f"[{inner} + {left[0]} for {inner} in (1, {right[0]})][1]", left[1] + right[1]


def _text(rng: Random, left: Term, right: Term) -> Term:
    word = "".join(rng.sample(_LETTERS, 6))
    letter = rng.choice(word)
    return f"('{word}'.find('{letter}') + {left[0]} + {right[0]})", word.find(letter) + left[1] + right[1]


_FORMS: tuple[Callable[[Random, Term, Term], Term], ...] = (
    _sum,
    _product,
    _bits,
    _comparison,
    _place,
    _entry,
    _function,
    _loop,
    _text,
)
