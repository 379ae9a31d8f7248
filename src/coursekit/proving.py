"""Proving a grader: the reference earns everything, and each known wrong answer exactly what is written down.

The proof goes the whole way: the assignment is released in a copy of the course, the reference and the wrong answers
are handed in as students would, and they are graded as students are.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import nbformat

from coursekit import batch, course, grading, notebook, planning, release, sandbox
from coursekit.records import Case, Proof, SandboxName, Score, Submission, Unscored

REFERENCE = "reference"
_SOLUTION_MARKS = ("### BEGIN SOLUTION", "### END SOLUTION")
PROOF_SEED = "a seed for proofs, which no term uses"
_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__")


def prove(
    root: Path,
    name: str,
    *,
    jobs: int = 0,
    box: SandboxName = "bwrap",
    own_seed: bool = False,
    progress: batch.Progress,
    notice: batch.Notice = batch.unheard,
) -> list[Proof]:
    """One proof for the reference and each known wrong answer, the reference first."""
    sandbox.require(box)
    cases = {REFERENCE: Case(why="The reference earns every point."), **course.cases(root, name)}
    with copied(root, name, own_seed=own_seed) as copy:
        release.release(copy, name)
        _, settings = planning.facts(copy)
        plan = planning.plan(copy, settings, name, box)
        submissions = hand_in(copy, name, settings.submitted, cases)
        scores = batch.run_all(plan, submissions, jobs, _score_only, progress, notice=notice)
    by_case = {score.student: score for score in scores}
    return [judge(name, case, each, by_case[case]) for case, each in cases.items()]


def _score_only(graded: grading.Graded) -> Score:
    return graded.score


@contextmanager
def copied(root: Path, name: str, *, own_seed: bool = False) -> Iterator[Path]:
    """A course of its own with this one assignment, which is gone afterwards.

    Its hidden data come from a fixed seed, so that a proof repeats, or from the course's own if asked for.
    """
    with tempfile.TemporaryDirectory(prefix="coursekit-", ignore_cleanup_errors=True) as scratch:
        copy = Path(scratch)
        for folder in ("assignments", "autograder"):
            (copy / folder).mkdir()
            for part in (name, "profiles"):
                if (root / folder / part).is_dir():
                    shutil.copytree(root / folder / part, copy / folder / part, ignore=_NOT_COPIED)
        (copy / course.COURSE_FILE).write_text("title: proof\n")
        if (copy / "autograder" / name).is_dir():
            course.plant_seed(copy, name, course.seed(root, name) if own_seed else PROOF_SEED)
        yield copy


def hand_in(root: Path, name: str, submitted: Path, cases: Mapping[str, Case]) -> list[Submission]:
    """Put the reference with each case's cells replaced where students hand in."""
    spec = course.assignment(root, name)
    source = nbformat.read(root / "assignments" / name / spec.notebook, as_version=4)
    found = []
    for case, each in cases.items():
        folder = submitted / case / name
        folder.mkdir(parents=True, exist_ok=True)
        answered = _as_handed_in(notebook.replace_sources(json.loads(nbformat.writes(source)), each.cells))
        (folder / spec.notebook).write_text(json.dumps(answered, indent=1))
        found.append(Submission(student=case, assignment=name, folder=str(folder)))
    return found


def _as_handed_in(nb: notebook.Notebook) -> notebook.Notebook:
    """The notebook without the marks around its solutions, which no student's copy has."""
    for cell in nb["cells"]:
        lines = "".join(cell["source"]).splitlines()
        cell["source"] = "\n".join(line for line in lines if line.strip() not in _SOLUTION_MARKS)
    return nb


def judge(name: str, case: str, expected: Case, score: Score) -> Proof:
    """Compare what was earned with what is written down, check by check."""
    earned: dict[str, float | Unscored] = {check.id: check.earned for check in score.checks}
    full = {check.id: check.points for check in score.checks}
    due = full | dict.fromkeys(expected.blocked, 0.0) | expected.earns
    differences = [
        f"{check}: earned {earned.get(check, 'nothing, for there is no such check')}, {due[check]:g} is written down"
        for check in due
        if earned.get(check) != due[check]
    ]
    outcomes = {check.id: check.outcome for check in score.checks}
    differences += [
        f"{check}: {outcomes.get(check, 'absent')}, not blocked"
        for check in expected.blocked
        if outcomes.get(check) != "blocked"
    ]
    if score.status == "unscored":
        differences.append(score.reason)
    return Proof(
        assignment=name,
        case=case,
        why=expected.why,
        expected=due,
        earned=earned,
        holds=not differences,
        differences=tuple(differences),
    )
