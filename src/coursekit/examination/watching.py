"""A test cell that runs inside the student's process, with canaries around it: `coursekit.canaries` says which.

Of what they say and print nothing is kept but a doubt, if there is one.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from coursekit import canaries
from coursekit.canaries import Question, Reply
from coursekit.sandbox.kernel import CellResult, Kernel

_SECONDS = 20.0
"""A question takes milliseconds; a machine that is busy may need longer, and must accuse nobody."""
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

Run = Callable[[str, str], CellResult]
"""Runs code as a cell of the notebook, within its limits, and then evaluates an expression."""


def watched(
    kernel: Kernel, source: str, used: Mapping[str, str], known: Sequence[str], run: Run
) -> tuple[CellResult, str]:
    """The cell's result as if nothing had been asked, and why it cannot be believed; empty if nothing says so."""
    asked = canaries.around(source, used, known, secrets.SystemRandom())
    before = _ask(kernel, asked.before)
    result = run(asked.cell.source, asked.cell.expression)
    after = None if result.stopped or result.late else _ask(kernel, asked.after)
    doubt = canaries.doubt(asked, before, _reply(result), after)
    return msgspec.structs.replace(result, outputs=_without(asked.cell.word, result.outputs)), doubt


def _ask(kernel: Kernel, question: Question) -> Reply:
    with kernel.uncounted():
        return _reply(kernel.run_cell(question.source, _SECONDS))


def _reply(result: CellResult) -> Reply:
    return Reply(
        status=result.reply.status,
        said=result.said,
        raised=(result.reply.ename, result.reply.evalue),
        errors=tuple((each.ename, each.evalue) for each in result.errors),
        late=result.late,
        stopped=bool(result.stopped),
    )


def _without(word: str, shown: Any) -> Any:
    """The outputs without any line that holds this word: a traceback shows the lines around the one that failed."""
    if not word:
        return shown
    if isinstance(shown, str):
        return shown if word not in _ANSI.sub("", shown) else _lines_without(word, shown)
    if isinstance(shown, list):
        return [_without(word, each) for each in shown]
    if isinstance(shown, dict):
        return {key: _without(word, value) for key, value in shown.items()}
    return shown


def _lines_without(word: str, text: str) -> str:
    lines = text.split("\n")
    return "\n".join(line for line in lines if word not in _ANSI.sub("", line))
