"""Which tests of a notebook run inside the student's own process, and what about them can be fooled.

It is advice to whoever writes them: a check that asks from outside sends in no expected value, and compares what comes
out where no code of the student's runs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from coursekit import canaries, notebook, specs
from coursekit.records import Record

_ALWAYS = "an exception that it raises passes through the student's interpreter"
_HIDDEN = "BEGIN HIDDEN TESTS"


class Exposed(Record, frozen=True, kw_only=True):
    """A test cell whose asserts the student's code runs beside."""

    assignment: str
    cell: str
    points: float
    why: tuple[str, ...]


def exposed(assignment: str, notebooks: Iterable[Mapping[str, Any]]) -> tuple[Exposed, ...]:
    """Give the autograded test cells of an assignment's source that have tests of their own, in order."""
    return tuple(found for nb in notebooks for found in _of_notebook(assignment, dict(nb)))


def _of_notebook(assignment: str, nb: dict[str, Any]) -> Iterator[Exposed]:
    code = notebook.code_cells(nb)
    for cell in code:
        marks = cell["metadata"].get("nbgrader")
        if not notebook.grade_id(cell) or not isinstance(marks, dict):
            continue
        if marks.get("grade") and not marks.get("solution") and specs.has_test(cell["source"]):
            used = canaries.tools(cell["source"], [each["source"] for each in code])
            points = marks.get("points")
            yield Exposed(
                assignment=assignment,
                cell=notebook.grade_id(cell),
                points=float(points) if isinstance(points, int | float) else 0.0,
                why=tuple(_reasons(cell["source"], used)) or (_ALWAYS,),
            )


def _reasons(source: str, used: Mapping[str, str]) -> Iterator[str]:
    """Give what can be fooled, the gravest first."""
    if _HIDDEN in source:
        yield "its hidden tests are sent into the student's process, which can read them"
    tree = canaries.parsed(source)
    nodes = list(ast.walk(tree)) if tree is not None else []
    if any(isinstance(node, ast.Compare) and any(map(_calls_or_names, _sides(node))) for node in nodes):
        yield "it compares what the student's code gave, which may claim to be equal"
    if used:
        yield f"it relies on {', '.join(used)}, which the student's code can change"
    if not nodes:
        yield "it cannot be read as Python, so less of it is watched"


def _sides(node: ast.Compare) -> list[ast.expr]:
    return [node.left, *node.comparators]


def _calls_or_names(node: ast.expr) -> bool:
    return any(isinstance(each, ast.Call | ast.Name) for each in ast.walk(node))
