"""Hostile values for fuzz tests: JSON and YAML near what is expected, and damaged copies of real files."""

from __future__ import annotations

import json

from hypothesis import strategies as st


class Raw(str):
    """Text that goes into a document as it is, whatever it does there."""

    __slots__ = ()


class Pairs(list):
    """An object of JSON as pairs: a name may come twice."""

    __slots__ = ()


DEEP = Raw("[" * 50_000 + "]" * 50_000)
TOKENS = [
    Raw(text)
    for text in (
        *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e-999", "-0", "9" * 400, "9" * 5_000, "-" + "9" * 400),
        *('"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\\u001b[31m"', '"\\u202e"', '"\\ud83d\\ude00"', '"\x7f"'),
        *(
            "",
            "nul",
            "{",
            "]",
            '"',
            "0x10",
            "01",
            "2.",
            "'a'",
            '{"a":1,"a":2}',
            '{"":{}}',
            '{"a":' * 3_000,
            "1" + "0" * 30,
        ),
    )
] + [DEEP, Raw("[" * 900 + "]" * 900)]
TEXTS = st.one_of(
    st.sampled_from(
        ["", " ", "a", "../x", "/etc/passwd", "\x00", "\x1b[2J", "\u202e", "\ud800", "a\nb", "é", "x" * 300]
    ),
    st.text(max_size=20),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**30, -(10**400)]),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    st.sampled_from(TOKENS),
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.lists(st.tuples(TEXTS, inner), max_size=4).map(Pairs)),
    max_leaves=8,
)


def near(right, *, junk=JUNK, odds=6):
    """Mostly what is right, else anything at all."""
    return st.integers(1, odds).flatmap(lambda drawn: junk if drawn == 1 else right)


NOTHING = st.just(())


def record(*, also=NOTHING, **fields):
    """An object with most of these fields, each nearly right, and others."""
    named = [st.tuples(st.just(name), value) for name, value in fields.items()]
    kept = st.lists(st.sampled_from([True] * 9 + [False]), min_size=len(named), max_size=len(named))
    both = st.tuples(st.tuples(*named), kept, also)
    return both.map(lambda drawn: Pairs([pair for pair, keep in zip(*drawn[:2], strict=True) if keep] + list(drawn[2])))


EXTRA = st.lists(st.tuples(TEXTS, JUNK), max_size=2) | st.just([])


def written(tree):
    """The tree as JSON, as far as it is JSON."""
    if isinstance(tree, Raw):
        return str(tree)
    if isinstance(tree, Pairs):
        return "{" + ", ".join(f"{json.dumps(name)}: {written(value)}" for name, value in tree) + "}"
    if isinstance(tree, dict):
        return written(Pairs(tree.items()))
    if isinstance(tree, (list, tuple)):
        return "[" + ", ".join(map(written, tree)) + "]"
    if isinstance(tree, int) and not isinstance(tree, bool):
        return f"{tree}" if abs(tree) < 10**4_000 else "0"
    return json.dumps(tree)


def as_bytes(tree):
    """The tree as the bytes of a file."""
    return written(tree).encode("utf-8", "surrogatepass")


# --- Damaged copies ---------------------------------------------------------------------------------------------------

_PLACES = st.integers(0, 2**30)
_PIECES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from([b"\0", b"\xff" * 4, b"\n", b'"', b"{", b"]", b"null", b"1e999", b"-1", b"\x7f\xff\xff\xff"]),
    st.integers(-(2**31), 2**31 - 1).map(lambda number: number.to_bytes(4, "little", signed=True)),
)
_EDITS = st.tuples(st.sampled_from(["flip", "put", "add", "drop", "repeat", "cut", "graft"]), _PLACES, _PLACES, _PIECES)


def damaged(wholes):
    """Copies of these files with a few bytes flipped, written over, added, dropped, repeated, or cut off."""
    return st.tuples(st.sampled_from(range(len(wholes))), st.lists(_EDITS, min_size=1, max_size=5)).map(
        lambda drawn: _damaged(wholes, *drawn)
    )


def _damaged(wholes, number, edits):
    data = bytearray(wholes[number])
    for kind, one, two, piece in edits:
        at = one % (len(data) + 1)
        size = two % 64
        if kind == "flip" and at < len(data):
            data[at] ^= 1 << (two % 8)
        elif kind == "put":
            data[at : at + len(piece)] = piece
        elif kind == "add":
            data[at:at] = piece
        elif kind == "drop":
            del data[at : at + size]
        elif kind == "repeat":
            data[at:at] = data[at : at + size] * (1 + two % 3)
        elif kind == "cut" and two % 4 == 0:
            del data[at:]
        elif kind == "graft":
            other = wholes[two % len(wholes)]
            start = two % (len(other) + 1)
            data[at : at + size] = other[start : start + size]
    return bytes(data)


def changed(tree):
    """The tree as JSON with a few values replaced by anything, taken out, or written twice."""
    edits = st.lists(
        st.tuples(st.integers(0, 2**20), st.sampled_from(["put", "drop", "twice", "count"]), JUNK), max_size=3
    )
    return edits.map(lambda drawn: as_bytes(_changed(tree, drawn)))


def _changed(tree, edits):
    root = _paired([tree])
    for number, kind, junk in edits:
        places = list(_places(root))
        holder, at = places[number % len(places)]
        pair = isinstance(holder, Pairs)
        value = holder[at][1] if pair else holder[at]
        new = value + 1 if kind == "count" and isinstance(value, int | float) else junk
        if kind == "drop" and holder is not root:
            del holder[at]
        elif kind == "twice" and holder is not root:
            holder.append(holder[at])
        else:
            holder[at] = (holder[at][0], new) if pair else new
    return root[0]


def _paired(tree):
    if isinstance(tree, dict):
        return Pairs((name, _paired(value)) for name, value in tree.items())
    return [_paired(value) for value in tree] if isinstance(tree, list | tuple) else tree


def _places(tree):
    for at, held in enumerate(tree):
        yield tree, at
        value = held[1] if isinstance(tree, Pairs) else held
        if isinstance(value, list):
            yield from _places(value)


# --- What must be said ------------------------------------------------------------------------------------------------


def assert_one_sentence(error, most=1_200):
    """What an error says can stand in a terminal: one line, printable, of bounded length."""
    for text in (error.what, error.where, error.fix, str(error)):
        assert text.isprintable(), ascii(text)[:300]
        assert len(text) <= most, len(text)
    assert error.what.strip()
