"""The messages an author wrote into asserts, told apart from text that a student's code may have made."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

_LEFT_OUT = "…"


def as_written(source: str, message: str) -> str:
    """Give the text of the assert in `source` that can have made this message, else an empty string.

    Values that the assert fills in are left out: they come from the student's code.
    """
    for node in _messages(source):
        pieces = [piece if piece is None else _one_line(piece) for piece in _pieces(node)]
        if any(piece and piece.strip() for piece in pieces) and _matches(message, pieces):
            return _one_line("".join(_LEFT_OUT if piece is None else piece for piece in pieces)).strip()
    return ""


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


def _matches(message: str, pieces: Sequence[str | None]) -> bool:
    """Tell whether the message is these pieces with something for each None; linear, for a message may be hostile."""
    at, anything = 0, False
    for piece in pieces:
        if piece is None:
            anything = True
            continue
        found = message.find(piece, at) if anything else (at if message.startswith(piece, at) else -1)
        if found < 0:
            return False
        at, anything = found + len(piece), False
    return anything or at == len(message) or (None in pieces and message.endswith(pieces[-1] or ""))


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)
