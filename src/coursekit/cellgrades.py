"""nbgrader's rules for asserts that stand in the notebook itself, applied to the outputs of an executed notebook.

A cell that raised earns nothing; one whose last expression is a number between nothing and its points earns that; any
other earns all. It differs from nbgrader 0.9.6 in two things: text on stderr is not a zero, and partial credit that
cannot be read is not full marks but waits for a person. Two more follow from who writes the outputs, which is the
student's kernel: an error is a zero wherever among the outputs it stands, and of several results none is believed.

Nothing a student is shown here may carry a hidden test: see `_hint`.
"""

from __future__ import annotations

import builtins
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from coursekit import assertions, canaries
from coursekit.records import Check, GradedCell, Outcome, Unscored, Waiting

Notebook = Mapping[str, Any]
Cell = Mapping[str, Any]

_HELD_BACK = (
    "A person will look at this before it earns points: the notebook's interpreter did not answer as an unchanged one "
    "would. That may have a harmless cause, such as a function that took the name of one of Python's own."
)
_LONGEST_HINT = 300
_LONGEST_RESULT = 100
_NUMPY_NUMBER = re.compile(r"(?:np|numpy)\.(?:u?int|float)\d*\((.+)\)")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def check_ids(cells: Mapping[str, Sequence[GradedCell]]) -> dict[tuple[str, str], str]:
    """Give (notebook, grade id) -> check id: the grade id, or NOTEBOOK/ID where two notebooks use the same one."""
    return ids_among({stem: [cell.id for cell in notebook] for stem, notebook in cells.items()})


def ids_among(names: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], str]:
    """Give the check ids for these notebooks with these grade ids."""
    pairs = [(stem, name) for stem, notebook in names.items() for name in notebook]
    count = Counter(name for _, name in pairs)
    return {(stem, name): name if count[name] == 1 else f"{stem}/{name}" for stem, name in pairs}


def grade_notebooks(cells: Mapping[str, Sequence[GradedCell]], executed: Mapping[str, Notebook]) -> tuple[Check, ...]:
    """Give the checks of all notebooks of an assignment, with ids from `check_ids`; one not handed in is blocked."""
    ids = check_ids(cells)
    checks: list[Check] = []
    for stem, graded in cells.items():
        found = grade_cells(graded, executed[stem]) if stem in executed else _absent(graded, stem)
        checks += [msgspec.structs.replace(check, id=ids[stem, check.id]) for check in found]
    return tuple(checks)


def grade_cells(cells: Sequence[GradedCell], executed: Notebook) -> tuple[Check, ...]:
    """Give a check for each autograded test cell of one notebook, in its order.

    The notebook's outputs and execution counts must have been cleared before it ran, and a cell that did not come to
    its end, as when the kernel died in it, must have no execution count: no output is no proof that asserts held.
    """
    found = _by_grade_id(executed)
    after_hidden = False
    checks = []
    for cell in cells:
        after_hidden = after_hidden or has_hidden_tests(cell)
        if cell.grade and not cell.solution:
            checks.append(_check(cell, found.get(cell.id), after_hidden))
    return tuple(checks)


def held_back(checks: Iterable[Check], doubts: Mapping[str, str]) -> tuple[tuple[Check, ...], tuple[Waiting, ...]]:
    """Give the checks, and those that wait for a person because the outputs of their cell cannot be believed.

    `doubts` says why, by check id. Such a check earns nothing until then. One that failed by itself stays failed:
    nobody forges that; unless its cell is said to have come to its end as well, which may be no fault of the student.
    """
    kept, waiting = [], []
    for check in checks:
        doubt = doubts.get(check.id, "")
        if doubt and (check.outcome != "failed" or check.earned != 0 or doubt == canaries.ENDED_AND_RAISED):
            waiting.append(Waiting(id=check.id, points=check.points, reason=doubt))
            kept.append(msgspec.structs.replace(check, outcome="blocked", earned=0.0, hint=_HELD_BACK))
        else:
            kept.append(check)
    return tuple(kept), tuple(waiting)


def unanswered(cells: Sequence[GradedCell], executed: Notebook) -> set[str]:
    """Give the ids of solution cells that are as they were handed out, or gone. A manual one among them earns 0."""
    found = _by_grade_id(executed)
    untouched = set()
    for cell in cells:
        if cell.solution and (cell.id not in found or source_of(found[cell.id]) in (cell.source, cell.released_source)):
            untouched.add(cell.id)
    return untouched


def has_hidden_tests(cell: GradedCell) -> bool:
    """Tell whether code runs in this cell that students were not given."""
    return cell.cell_type == "code" and cell.source != cell.released_source


def hidden_from(notebook: Notebook, cells: Sequence[GradedCell]) -> int:
    """Give the number of the first code cell, from 1, in which hidden tests run; 0 if there is none."""
    hidden = {cell.id for cell in cells if has_hidden_tests(cell)}
    code = (cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    ids = (cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in code)
    return next((number for number, name in enumerate(ids, start=1) if name in hidden), 0)


def source_of(cell: Cell) -> str:
    """Give a cell's source, which a file may hold as lines."""
    return _joined(cell.get("source", ""))


def _joined(text: str | Sequence[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _by_grade_id(notebook: Notebook) -> dict[str, Cell]:
    """Give the cells that carry a grade id; of two with the same one the last, as nbgrader does."""
    found = {}
    for cell in notebook.get("cells", []):
        grade_id = cell.get("metadata", {}).get("nbgrader", {}).get("grade_id")
        if grade_id:
            found[grade_id] = cell
    return found


def _absent(cells: Sequence[GradedCell], stem: str) -> list[Check]:
    tests = [cell for cell in cells if cell.grade and not cell.solution]
    return [_blocked(cell, f"{stem}.ipynb was not handed in.") for cell in tests]


def _blocked(cell: GradedCell, hint: str) -> Check:
    return _finished(cell, "blocked", 0.0, hint)


def _finished(cell: GradedCell, outcome: Outcome, earned: float | Unscored, hint: str) -> Check:
    return Check(
        id=cell.id,
        sentence=_sentence(cell),
        outcome=outcome,
        points=cell.points or 0.0,
        earned=earned,
        hint=hint,
        hidden=has_hidden_tests(cell),
    )


def _check(cell: GradedCell, ran: Cell | None, after_hidden: bool) -> Check:
    if ran is None:
        return _blocked(cell, f"The cell '{cell.id}' is not in the notebook.")
    outputs = ran.get("outputs", [])
    error = next((output for output in outputs if output.get("output_type") == "error"), None)
    if error is not None:
        return _finished(cell, "failed", 0.0, _hint(cell, error, after_hidden))
    if cell.cell_type == "code" and source_of(ran).strip() and ran.get("execution_count") is None:
        return _blocked(cell, "The notebook stopped before this cell was done.")
    earned, hint = _earned(cell, outputs, after_hidden)
    if earned == "unscored":
        return _finished(cell, "broken", earned, hint)
    return _finished(cell, "passed" if earned == (cell.points or 0.0) else "failed", earned, hint)


def _earned(cell: GradedCell, outputs: Sequence[Mapping[str, Any]], after_hidden: bool) -> tuple[float | Unscored, str]:
    """Give what a cell without an error earned, and a sentence to the author if that cannot be told."""
    points = cell.points or 0.0
    if cell.cell_type != "code":
        return "unscored", f"The cell '{cell.id}' is graded by its outputs, but is no code cell. A person must mark it."
    results = [output for output in outputs if output.get("output_type") == "execute_result"]
    if not results:
        return points, ""
    if len(results) > 1:
        return "unscored", f"The cell '{cell.id}' gave {len(results)} results, where one is read as partial credit."
    text = _joined(results[0].get("data", {}).get("text/plain", ""))
    number = _number(text)
    if number is None:
        what = "something that is not a number" if after_hidden else repr(text[:40])
        return "unscored", (
            f"The cell '{cell.id}' ends in {what}, where a number of points is read as partial credit. "
            "A person must mark it; end the cell in a number, or in a statement for all or nothing."
        )
    if not 0 <= number <= points:
        gave = "more points than there are, or fewer than none" if after_hidden else f"{number:g} of {points:g} points"
        return "unscored", f"The cell '{cell.id}' gave {gave}. A person must mark it."
    return number, "" if number == points else f"{number:g} of {points:g} points."


def _number(text: str) -> float | None:
    """Give the number a cell ended in, also as NumPy 2 writes it, or None if it is none or not finite."""
    if len(text) > _LONGEST_RESULT:
        return None
    inner = _NUMPY_NUMBER.fullmatch(text.strip())
    try:
        number = float(inner[1] if inner else text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


# --- What the student reads ------------------------------------------------------------------------------------------


def _sentence(cell: GradedCell) -> str:
    """Give the first line an author wrote about a test where students can see it, or a general sentence."""
    for line in _lines_about(cell.released_source):
        if line and not re.fullmatch(r"[A-Z ]+|-\*-.*", line):  # YOUR CODE HERE, BEGIN HIDDEN TESTS and the like
            return line
    return f"The tests in cell {cell.id} pass."


def _lines_about(source: str) -> Iterator[str]:
    for line in source.splitlines():
        text = line.strip()
        if text.startswith("#"):
            yield text.lstrip("#").strip()
        elif text.startswith(('"""', "'''")):
            yield text.strip("\"'").strip()
        elif text:
            return


def _hint(cell: GradedCell, error: Mapping[str, Any], after_hidden: bool) -> str:
    """Give the exception as a student may read it.

    Once hidden tests have been in the kernel, the student's code may have read them, so any text it makes may carry
    them. From that cell on only what the author wrote is shown: the message of an assert, with the values in it left
    out where it is hidden, and the names of Python's own exceptions.
    """
    name = _clean(error.get("ename"))
    message = _clean(error.get("evalue"))
    if after_hidden:
        return assertions.as_written(cell.source, message) or _builtin_name(name)
    if not message and (line := _failing_line(cell, error)):
        message = line
    return _short(f"{name}: {message}" if message else name)


def _builtin_name(name: str) -> str:
    """Give the name of one of Python's own exceptions; any other may have been made to tell something."""
    kind = getattr(builtins, name, None)
    return name if isinstance(kind, type) and issubclass(kind, BaseException) else "An exception was raised."


def _failing_line(cell: GradedCell, error: Mapping[str, Any]) -> str:
    """Give the line of the released cell that a traceback points at; a bare assert has no other message."""
    own = {line.strip() for line in cell.released_source.splitlines()}
    for line in _ANSI.sub("", "\n".join(map(str, error.get("traceback", [])))).splitlines():
        pointed = re.fullmatch(r"-+> \d+ (.*)", line)
        if pointed and pointed[1].strip() in own:
            return pointed[1].strip()
    return ""


def _clean(text: object) -> str:
    return " ".join(_ANSI.sub("", str(text or "")).split())


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_HINT else text[: _LONGEST_HINT - 1] + "…"
