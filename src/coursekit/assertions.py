"""The messages an author wrote into asserts, told apart from text that a student's code may have made."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence

_LEFT_OUT = "…"


def as_written(source: str, message: str, known: Collection[str] = ()) -> str:
    """Give the text of the assert in `source` that can have made this message, else an empty string.

    Values that the assert fills in are left out, for they may come from the student's code; but not those that are
    `known`, as words of the author's own are, nor a whole message that is.
    """
    for node in _messages(source):
        pieces = [piece if piece is None else _one_line(piece) for piece in _pieces(node)]
        if any(piece and piece.strip() for piece in pieces):
            values = _filled(message, pieces)
            if values is not None:
                shown = iter([value if value.strip() in known else _LEFT_OUT for value in values])
                return _one_line("".join(next(shown) if piece is None else piece for piece in _merged(pieces))).strip()
    return message if message in known else ""


def literals(source: str) -> set[str]:
    """Give the texts that stand in `source` as they are, on one line each."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return set()
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return {_one_line(text).strip() for text in texts}


def _messages(source: str) -> Iterator[ast.expr]:
    """Give the message of each assert, and the argument of each `raise SomeError(...)`."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):  # a cell with magics, say: then nothing is known to be safe
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and node.msg is not None:
            yield node.msg
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            yield node.exc.args[0]


def _pieces(node: ast.expr) -> Iterator[str | None]:
    """Give the constant parts of a message in order, None for a value that is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        for value in node.values:
            yield from _pieces(value)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _pieces(node.left)
        yield from _pieces(node.right)
    else:
        yield None


def _merged(pieces: Sequence[str | None]) -> list[str | None]:
    """Give the pieces with neighbours of a kind as one: between two values without text nothing can be told apart."""
    merged: list[str | None] = []
    for piece in pieces:
        if merged and isinstance(piece, str) and isinstance(merged[-1], str):
            merged[-1] += piece
        elif not merged or piece is not None or merged[-1] is not None:
            merged.append(piece)
    return merged


def _filled(message: str, pieces: Sequence[str | None]) -> list[str] | None:
    """Give what the message has in the place of each None, or None if it is not these pieces at all.

    Linear, for a message may be hostile.
    """
    values, at, anything = [], 0, False
    merged = _merged(pieces)
    for number, piece in enumerate(merged):
        if piece is None:
            anything = True
            continue
        last = number == len(merged) - 1
        found = message.find(piece, at) if anything else at
        if last:
            found = max(at, len(message) - len(piece))
        if not message.startswith(piece, found) or (found != at and not anything) or found < 0:
            return None
        values += [message[at:found]] * anything
        at, anything = found + len(piece), False
    if anything:
        values.append(message[at:])
    return values if anything or at == len(message) else None


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)
