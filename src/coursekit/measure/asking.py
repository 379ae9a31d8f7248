"""How an engine asks a program in the box, and what it makes of an answer that does not come.

A model that makes its reader crash or run out of time is the student's to mend; a reader that cannot start, or prints
what no reader prints, is not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from coursekit.errors import ToolError, UnreadableWork
from coursekit.measure import packages
from coursekit.measure.documents import MODEL_FILE, Missing, Problem
from coursekit.records import Finished, RunInside

UNKNOWN = "unknown"
"""The value of a figure that cannot be had; its note says why."""

_NO_MODULE = re.compile(r"(?:ModuleNotFoundError: No module named|ImportError: cannot import name '\w+' from) '(\w+)")

CRASHES = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 11: "SIGSEGV"}
"""The signals by which a native library ends when its input breaks it."""


def ask(
    inside: RunInside,
    program: str,
    reader: str,
    model: bytes,
    *arguments: str,
    files: Mapping[str, bytes] | None = None,
) -> bytes:
    """Run a program of `coursekit.measure.inside` on a model in a box and give what it printed.

    `reader` names the library in the sentences. Raises `UnreadableWork` if the model stops or crashes it and
    `ToolError` if it fails by itself.
    """
    packages.refuse_others("ai-edge-litert")  # with it every program here reads a file
    module = f"coursekit.measure.inside.{program}"
    finished = inside([module, *arguments], {MODEL_FILE: model, **(files or {})})
    if finished.stopped:
        raise UnreadableWork(f"Your model was too much for {reader} and was stopped: {clean(finished.stopped)}.")
    signal = _signal(finished)
    if signal in CRASHES:
        _refuse_if_broken(inside, [module, *arguments], reader, files or {})
        raise UnreadableWork(f"Your model makes {reader} crash ({CRASHES[signal]}).")
    if finished.returncode != 0:
        lines = finished.stderr.decode("utf-8", "replace").strip().splitlines() or ["it printed nothing"]
        if lacks := _NO_MODULE.match(lines[-1]):
            raise packages.missing(lacks[1].replace("_", "-"))
        raise ToolError(f"{reader} ended with status {finished.returncode}: {clean(lines[-1])}", where=module)
    return finished.stdout


def _signal(finished: Finished) -> int:
    """The number of the signal that ended a program; below one if none did."""
    return finished.returncode - 128 if finished.returncode > 128 else -finished.returncode


def _refuse_if_broken(inside: RunInside, words: Sequence[str], reader: str, files: Mapping[str, bytes]) -> None:
    """Ask the same of a model that is known to be good. Raises ToolError if that crashes the reader as well."""
    from coursekit.measure.samples import samples  # noqa: PLC0415 - seldom needed, and it brings the schema

    signal = _signal(inside(words, {**files, MODEL_FILE: samples()["honest"]}))
    if signal in CRASHES:
        raise ToolError(
            f"{reader} crashes on every model here ({CRASHES[signal]}).",
            fix="install coursekit's packages again, on a processor that they support",
        )


def once(inside: RunInside) -> RunInside:
    """Give a way into the box that asks the same question about the same bytes once, and remembers the answer.

    What a program here prints depends on its arguments and files alone, and boards have most questions in common. What
    is timed has the number of its turn among its arguments.
    """
    known: dict[tuple[object, ...], Finished] = {}

    def run(arguments: Sequence[str], files: Mapping[str, bytes]) -> Finished:
        contents = (name + hashlib.sha256(data).hexdigest() for name, data in sorted(files.items()))
        key = (*arguments, "", *contents)
        if key not in known:
            known[key] = inside(arguments, files)
        return known[key]

    return run


def decode(printed: bytes, answers: Any, reader: str) -> Any:
    """Give the answer as one of these documents, a type or a union; raise a problem or missing package as an error."""
    try:
        document = msgspec.json.decode(printed, type=answers | Problem | Missing)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ToolError(f"{reader} gave no answer that can be read: {clean(str(error))}") from error
    if isinstance(document, Problem):
        raise UnreadableWork(clean(document.what, 400), fix=clean(document.fix, 400))
    if isinstance(document, Missing):
        raise packages.missing(clean(document.package), clean(document.extra))
    return document


def clean(text: str, most: int = 200) -> str:
    """Give text from the box on one line, without characters that a terminal would obey, and not too long."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * most])
    return " ".join(plain.split())[:most]


def by(*sizes: int) -> str:
    """Write a shape as people do: 1x8x8x1; a single number has the shape `scalar`."""
    return "x".join(str(size) for size in sizes) or "scalar"


def rounded(value: int, by: int) -> int:
    """Divide to the nearest whole number, halves up; nothing divided by nothing is nothing."""
    return (2 * value + by) // (2 * by) if by else 0
