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


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """A cell's result as if nothing had been asked, and what the questions came to."""

    result: CellResult
    doubt: str
    """Why the outputs cannot be believed; empty if nothing says so."""
    late: bool
    """Whether a question took too long, which a busy machine may do: another run may say something else."""


def watched(
    kernel: Kernel,
    source: str,
    used: Mapping[str, str],
    known: Sequence[str],
    run: Run,
    patience: float = _SECONDS,
) -> Watched:
    """Run a cell of these tools, of which students know these phrases, with questions around it."""
    asked = canaries.around(source, used, known, secrets.SystemRandom())
    before = _ask(kernel, asked.before, patience)
    result = run(asked.cell.source, asked.cell.expression)
    after = None if result.stopped or result.late else _ask(kernel, asked.after, patience)
    doubt = canaries.doubt(asked, before, _reply(result), after)
    shown = msgspec.structs.replace(result, outputs=_without(asked.cell.word, result.outputs))
    return Watched(result=shown, doubt=doubt, late=before.late or bool(after and after.late))


def _ask(kernel: Kernel, question: Question, patience: float) -> Reply:
    with kernel.uncounted():
        return _reply(kernel.run_cell(question.source, patience))


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
