"""What an attack is: a submission that tries something, and what must come of it.

Most are code that a student could have written into an answer cell. They are written here as functions, whose bodies
become the cell: `place` is what the attacker knows, and `attempt(what, act)` says whether `act()` was refused.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from coursekit.records import Record

Group = Literal["reach", "exhaust", "forge", "inject"]
GROUPS: Mapping[Group, str] = {
    "reach": "Learning or touching what is not the student's",
    "exhaust": "Taking so much that others have to wait",
    "forge": "Earning points without the work",
    "inject": "Speaking through pages, terminals, tables and names",
}

REFUSED, SUCCEEDED = "REFUSED", "SUCCEEDED"
"""The words with which a line of `attempt` begins."""


class Place(Record, frozen=True, kw_only=True):
    """What an attacker is told: all that could be known of the grader's machine but the secrets themselves."""

    port: int
    """Open on the host's loopback, for TCP and UDP."""
    abstract: str
    """The name of an abstract unix socket that listens."""
    socket: str
    """The path of a unix socket that listens."""
    course: str
    """The course folder."""
    name: str
    """The assignment."""
    secret: str
    """A file that every user of the host may read."""
    temporary: str
    """Where the grader has its temporary files."""
    token: str
    """A word that names what the attack leaves running."""
    models: dict[str, str] = {}
    """Name -> a `.tflite` file in base64: those of the assignment with a model."""


HandIn = Callable[[Path, Place], None]
"""Changes the folder of a submission that is otherwise honest, as a student could before handing it in."""


class Attack(Record, frozen=True, kw_only=True):
    """One hostile submission, and what must come of it. What it does not fail at it earns like anybody."""

    name: str
    group: Group
    tried: str
    """What is tried, as a sentence."""
    held_by: str
    """What holds it."""
    source: str = ""
    """Code for the answer cell, after the honest answer."""
    student: str = ""
    """The id that hands it in, where the id is the attack."""
    assignment: Literal["fort", "vault", "cells"] = "fort"
    earns: dict[str, float] = {}
    """Check -> points, for every check that does not earn full points."""
    most: float | None = None
    """The most points in all, where it may go either way."""
    stops: str = ""
    """Words of the reason why the run ended early."""
    shows: str = ""
    """A pattern that what came back must match, as evidence that it was tried."""
    accepted: bool = True
    """Whether the gradebook can keep a score of it; else it must be refused with a sentence, and nobody else be."""
    remains: str = ""
    """What of it is not held, in the words of SECURITY.md; then what it must earn is what it does earn."""
    hand_in: HandIn | None = None

    @property
    def id(self) -> str:
        """The id that hands it in."""
        return self.student or self.name


def code(held_by: str, **expected: Any) -> Callable[[Callable[..., Any]], Attack]:
    """An attack whose code is the body of the decorated function, and whose sentence is its docstring."""

    def made(function: Callable[..., Any]) -> Attack:
        return _attack(function, held_by, source=_body(function), **expected)

    return made


def hands_in(held_by: str, **expected: Any) -> Callable[[HandIn], Attack]:
    """An attack that lies in what is handed in: the decorated function changes the folder."""

    def made(function: HandIn) -> Attack:
        return _attack(function, held_by, hand_in=function, **expected)

    return made


def _attack(function: Callable[..., Any], held_by: str, **facts: Any) -> Attack:
    facts.setdefault("group", function.__module__.rpartition(".")[2])
    name = function.__name__.replace("_", "-")
    return Attack(name=name, tried=inspect.getdoc(function) or "", held_by=held_by, **facts)


def _body(function: Callable[..., Any]) -> str:
    """The lines of a function after its docstring; text among them may stand at the edge."""
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    definition = ast.parse("\n".join(lines)).body[0]
    assert isinstance(definition, ast.FunctionDef)  # noqa: S101 - for the type checker: it was a function
    first = definition.body[1]
    indent = " " * first.col_offset
    return "\n".join(line.removeprefix(indent) for line in lines[first.lineno - 1 :])


# --- what is handed in ------------------------------------------------------------------------------------------------


def notebook(folder: Path, place: Place) -> tuple[Path, dict[str, Any]]:
    """The notebook that lies in a folder: its file, and what it holds."""
    file = folder / f"{place.name}.ipynb"
    return file, json.loads(file.read_text())


def marks(cell: dict[str, Any]) -> dict[str, Any]:
    """What a cell says of itself to nbgrader."""
    found: dict[str, Any] = cell.get("metadata", {}).get("nbgrader", {})
    return found


def answer(folder: Path, place: Place, grade_id: str, source: str) -> None:
    """Write something else into the cell of this grade id."""
    file, nb = notebook(folder, place)
    for cell in nb["cells"]:
        if marks(cell).get("grade_id") == grade_id:
            cell["source"] = source
    file.write_text(json.dumps(nb))


# --- what runs --------------------------------------------------------------------------------------------------------


def attempt(what: str, act: Callable[[], object]) -> object:
    """In the student's cell: try something, and print whether it was refused."""
    try:
        found = act()
    except BaseException as error:  # noqa: BLE001 - whatever refuses it
        print(f"REFUSED {what}: {type(error).__name__}: {error}"[:200])  # noqa: T201 - a cell prints
        return None
    print(f"SUCCEEDED {what}: {found!r}"[:200])  # noqa: T201 - likewise
    return found


def cell(honest: str, attack: Attack, place: Place) -> str:
    """The answer cell of an attack: an honest answer, what the attacker knows, and the attack."""
    known = json.dumps(msgspec.to_builtins(place))
    given = f"import json\nfrom collections.abc import Callable\nplace = json.loads({known!r})"
    return f"{honest}\n{given}\n{inspect.getsource(attempt)}\n\n{attack.source}"
