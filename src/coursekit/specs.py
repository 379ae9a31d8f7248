"""What an author writes, read and judged: assignments, courses, known wrong answers.

The types are checked while decoding. Here stand the rules that types cannot say, each with the sentence its author
reads and, where there is one, the way to mend it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from coursekit.decoding import decode_yaml
from coursekit.errors import SpecError
from coursekit.records import Artifact, Assignment, Band, Case, Course, GradedCell, Late, Limits, Target

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SLUG_FIX = "use letters, digits, '-' and '_' only, and begin with a letter or a digit."
_COMPARED = {"accuracy_drop_points", "file_ratio", "latency_ratio"}
"""Metrics that set the artifact against the student's own baseline."""
_LABELLED = {"accuracy", "accuracy_drop_points"}
"""Metrics that need inputs with known answers."""


def assignment(data: bytes, where: str, folder: str = "") -> Assignment:
    """Give the assignment in an `assignment.yaml`; `folder` is the name of the folder around it, if it has one."""
    spec = decode_yaml(data, Assignment, where)
    _need_slug(spec.name, "name", where)
    if folder and spec.name != folder:
        fix = f"write 'name: {folder}', or rename the folder."
        raise SpecError(f"name is '{spec.name}', and the folder is called '{folder}'.", where=where, fix=fix)
    _check_notebook(spec.notebook, where)
    _check_artifacts(spec, where)
    _check_limits(spec.limits, where)
    _check_late(spec.late, where)
    _need_unique([target.id for target in spec.targets], where)
    for target in spec.targets:
        _check_target(target, spec, where)
    return spec


def course(data: bytes, where: str) -> Course:
    """Give the course in a `course.yaml`."""
    spec = decode_yaml(data, Course, where)
    if "://" not in spec.gradebook:
        fix = "write for instance 'gradebook: sqlite:///gradebook.db'."
        raise SpecError(f"gradebook must be a database URL, not '{spec.gradebook}'.", where=where, fix=fix)
    _check_late(spec.late, where)
    for name in spec.extensions:
        _need_slug(name, "a name under extensions", where)
    return spec


def case(data: bytes, where: str) -> Case:
    """Give a known wrong answer and what it must earn."""
    spec = decode_yaml(data, Case, where)
    if not spec.why.strip():
        raise SpecError("why is empty.", where=where, fix="say in a sentence what is wrong with this answer.")
    if not spec.cells:
        fix = "under 'cells:', give a grade id and the wrong source of its cell."
        raise SpecError("cells is empty, so this would be the reference itself.", where=where, fix=fix)
    for name, points in spec.earns.items():
        if points < 0:
            raise SpecError(f"earns.{name} must not be negative.", where=where)
        if points and name in spec.blocked:
            what = f"'{name}' is listed as blocked, and as earning {points:g} points."
            raise SpecError(what, where=where, fix="a blocked check earns nothing: keep one of the two.")
    return spec


# --- One assignment --------------------------------------------------------------------------------------------------


def _need_slug(name: str, field: str, where: str) -> None:
    if not _SLUG.fullmatch(name):
        raise SpecError(f"{field} cannot be '{name}'.", where=where, fix=_SLUG_FIX)


def _need_unique(ids: Sequence[str], where: str) -> None:
    for name in ids:
        if ids.count(name) > 1:
            raise SpecError(f"two checks have the id '{name}'.", where=where, fix="give each an id of its own.")


def _check_notebook(name: str, where: str) -> None:
    if not name.endswith(".ipynb") or PurePosixPath(name).name != name or not _SLUG.fullmatch(name[:-6]):
        fix = "give the plain name of a file in this folder, such as 'quantize.ipynb'."
        raise SpecError(f"notebook cannot be '{name}'.", where=where, fix=fix)


def _check_artifacts(spec: Assignment, where: str) -> None:
    if spec.baseline and not spec.artifact:
        fix = "declare the artifact that it is compared with."
        raise SpecError("there is a baseline and no artifact.", where=where, fix=fix)
    if spec.baseline and spec.artifact and spec.baseline.path == spec.artifact.path:
        raise SpecError("artifact and baseline have the same path.", where=where, fix="write them to two files.")
    if spec.artifact:
        _check_artifact(spec.artifact, "artifact", where)
    if spec.baseline:
        _check_artifact(spec.baseline, "baseline", where)


def _check_artifact(artifact: Artifact, field: str, where: str) -> None:
    path = PurePosixPath(artifact.path)
    plain = artifact.path == str(path) and artifact.path.isprintable() and "\\" not in artifact.path
    if not plain or path.is_absolute() or ".." in path.parts or not path.name:
        fix = "write a path inside the student's folder, such as 'model_int8.tflite'."
        raise SpecError(f"{field}.path cannot be {artifact.path!r}.", where=where, fix=fix)
    _need_positive(artifact.max_bytes, f"{field}.max_bytes", where)


def _check_limits(limits: Limits, where: str) -> None:
    for field in limits.__struct_fields__:
        _need_positive(getattr(limits, field), f"limits.{field}", where)


def _need_positive(value: float, field: str, where: str) -> None:
    if value <= 0:
        raise SpecError(f"{field} must be more than 0, not {value:g}.", where=where)


def _check_late(late: Late | None, where: str) -> None:
    if late and not 0 <= late.percent_per_day <= 100:
        raise SpecError(f"late.percent_per_day must be 0 to 100, not {late.percent_per_day:g}.", where=where)
    if late and late.days < 0:
        raise SpecError(f"late.days must not be negative, but is {late.days}.", where=where)


# --- One target ------------------------------------------------------------------------------------------------------


def _check_target(target: Target, spec: Assignment, where: str) -> None:
    """Refuse a target that cannot be measured, or whose marks cannot be meant."""
    name = f"target '{target.id}'"
    _need_slug(target.id, "the id of a target", where)
    if not target.metric.strip():
        raise SpecError(f"{name} has no metric.", where=where)
    _need_positive(target.points, f"{name}: points", where)
    _check_band(target, name, where)
    if target.id in target.needs:
        raise SpecError(f"{name} needs itself.", where=where, fix="name another check, or none.")
    if spec.artifact is None:
        fix = "add 'artifact: {path: model.tflite}', the file that the notebook writes."
        raise SpecError(f"{name} measures the artifact, and none is declared.", where=where, fix=fix)
    if target.metric in _LABELLED and target.data is None:
        raise SpecError(
            f"{name}: {target.metric} needs data.", where=where, fix="add 'data: hidden' or 'data: public'."
        )
    if target.metric in _COMPARED and spec.baseline is None:
        fix = "add 'baseline: {path: model_float.tflite}', the student's own model before the change."
        raise SpecError(f"{name}: {target.metric} needs a baseline.", where=where, fix=fix)


def _check_band(target: Target, name: str, where: str) -> None:
    """Refuse marks that are missing, doubled, or the wrong way round."""
    if (target.at_most is None) == (target.at_least is None):
        fault = "neither at_most nor at_least" if target.at_most is None else "both at_most and at_least"
        raise SpecError(f"{name} has {fault}.", where=where, fix="give exactly one of them.")
    if target.at_most and target.at_most.full > target.at_most.pass_:
        raise _wrong_way(f"{name}.at_most", target.at_most, "greater", where)
    if target.at_least and target.at_least.full < target.at_least.pass_:
        raise _wrong_way(f"{name}.at_least", target.at_least, "less", where)


def _wrong_way(field: str, band: Band, relation: str, where: str) -> SpecError:
    marks = f"full ({band.full:,g}) is {relation} than pass ({band.pass_:,g})"
    return SpecError(f"{field}: {marks}, so more work would earn less.", where=where, fix="exchange the two.")


# --- Checks and cells ------------------------------------------------------------------------------------------------


def check_points(
    assignment: Assignment, checks: Sequence[tuple[str, float]], cells: Sequence[GradedCell], where: str
) -> None:
    """Refuse an assignment whose checks and grade cells are not each other's mirror.

    `checks` are the pytest checks that carry a points marker, as (id, points); the targets are the assignment's own.
    Each needs an automatically graded cell with its id and points, and each such cell needs a check or a test inside.
    """
    _need_unique([*(target.id for target in assignment.targets), *(name for name, _ in checks)], where)
    asked = [("target", target.id, target.points) for target in assignment.targets]
    asked += [("check", name, points) for name, points in checks]
    by_id = {cell.id: cell for cell in cells}
    known = {name for _, name, _ in asked}
    free = [cell.id for cell in cells if cell.grade and not cell.manual and cell.id not in known]
    for kind, name, points in asked:
        if name not in by_id:
            fix = f"add a locked grade cell with this id and {points:g} points."
            if close := difflib.get_close_matches(name, free, n=1):
                fix = f"did you mean '{close[0]}'?"
            raise SpecError(f"{kind} '{name}' has no cell in {assignment.notebook}.", where=where, fix=fix)
        _check_cell(kind, points, by_id[name], assignment.notebook, where)
    unmatched = [cell for cell in cells if cell.id in free and not has_test(cell.source)]
    for cell in unmatched:
        what = f"grade cell '{cell.id}' of {assignment.notebook} has neither a check nor a test of its own."
        raise SpecError(what, where=where, fix="add a check with this id, write asserts into it, or delete it.")


def check_needs(assignment: Assignment, cells: Sequence[GradedCell], where: str) -> None:
    """Refuse a target that needs what is no check: a check has an automatically graded cell of its name."""
    known = [cell.id for cell in cells if cell.grade and not cell.manual]
    for target in assignment.targets:
        for name in target.needs:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                fix = f"did you mean '{close[0]}'?" if close else "name a check or a target of this assignment."
                raise SpecError(f"target '{target.id}' needs '{name}', which is no check.", where=where, fix=fix)


def _check_cell(kind: str, points: float, cell: GradedCell, notebook: str, where: str) -> None:
    if not cell.grade or cell.manual:
        what = f"{kind} '{cell.id}' belongs to a cell of {notebook} that is not graded automatically."
        raise SpecError(what, where=where, fix="make it 'Autograder tests' in nbgrader's toolbar.")
    if cell.points != points:
        has = "no points" if cell.points is None else f"{cell.points:g}"
        what = f"{kind} '{cell.id}' is worth {points:g} points, and its cell in {notebook} has {has}."
        raise SpecError(what, where=where, fix="write the same number in both places.")


def has_test(source: str) -> bool:
    """True if anything stands in the cell but comments: nbgrader then grades it by whether it runs."""
    lines: Iterable[str] = (line.strip() for line in source.splitlines())
    return any(line and not line.startswith("#") and line != "pass" for line in lines)
