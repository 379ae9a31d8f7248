"""What functions of a notebook answered, by the place in a check's conversation where they did.

A function may remember what it was asked before, so an answer holds for its place only: this check, after these
questions. Checks do not depend on each other; an answer stays when another check changes, comes or goes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from coursekit import wire
from coursekit.sandbox.kernel import Answer

if TYPE_CHECKING:
    from coursekit.examination.attempt import Attempt

_MOST_BYTES = 64_000_000


class Question(NamedTuple):
    """A call of a function."""

    name: str
    arguments: tuple[Any, ...]
    seconds: float


class Answers:
    """The answers known from a kept run, and those given in this examination, which are kept in their place."""

    def __init__(self, known: Mapping[str, bytes] | None = None) -> None:
        self.given: dict[str, bytes] = {}
        self._known = known or {}
        self._room = _MOST_BYTES

    def known(self, place: str) -> Answer | None:
        """The answer that was given at this place; None if it is not known."""
        try:
            return msgspec.json.decode(self._known[place], type=Answer)
        except (KeyError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def keep(self, place: str, answer: Answer) -> None:
        """Keep what the function gave; what a limit or a broken kernel made of it is no answer of the function."""
        if answer.stopped or not answer.token:
            return
        data = msgspec.json.encode(answer)
        self._room -= len(data)
        if self._room >= 0:
            self.given[place] = data


class Conversation:
    """What one check asks the functions of a notebook, in order."""

    def __init__(self, attempt: Attempt, check: str) -> None:
        self._attempt = attempt
        self._place = check
        self._from_memory: list[Question] = []
        """What the kernel of now has not been asked yet."""

    def ask(self, name: str, arguments: tuple[Any, ...], seconds: float | None) -> Answer:
        """The function's answer, from the kept run if it was given there. Raises wire.Unsendable for the arguments."""
        question = Question(name, arguments, seconds or self._attempt.task.assignment.limits.cell_seconds)
        self._place = _next(self._place, question)
        answer = self._attempt.answers.known(self._place)
        if answer is not None:
            self._from_memory.append(question)
        else:
            answer = self._attempt.ask(question, self._from_memory)
            self._from_memory = []
        self._attempt.answers.keep(self._place, answer)
        return answer


def _next(place: str, question: Question) -> str:
    """The place after this question."""
    encoded = wire.encode(list(question.arguments)).decode()
    said = json.dumps([place, question.name, encoded, question.seconds])
    return hashlib.sha256(said.encode()).hexdigest()
