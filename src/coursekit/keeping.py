"""Nothing twice and nothing lost: which submissions of a class need grading, and how a result is kept.

A result is files before anything else, each written whole or not at all, and `kept.json` is the last of them. What is
kept stands for as long as its ingredients are what they were and all of it is still there: the score, the executed
notebooks, the points in the gradebook. Whatever stopped a grading half-way, the next one sees what is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from coursekit import cellgrades, course, gradebook, grading, scoring, shelf
from coursekit.errors import CourseError
from coursekit.grading import Graded, Plan
from coursekit.ingredients import Ingredients, changes, run_key
from coursekit.records import Record, Score, Submission
from coursekit.shelf import Before, Kept

Action = Literal["keep", "record", "check", "run"]
"""keep: nothing has to be done; record: the points stand, lateness and the gradebook are written again; check: the
checks are asked again, of the kept run; run: the notebooks run."""


class Decision(Record, frozen=True, kw_only=True):
    """What grading does with a submission, or did, and why."""

    student: str
    action: Action
    because: tuple[str, ...] = ()


class Moved(Record, frozen=True, kw_only=True):
    """A score that differs from the one before it."""

    student: str
    before: Score
    now: Score
    checks: tuple[str, ...]
    """The ids of the checks that earned something else, or came or went."""
    because: tuple[str, ...]


class Desk:
    """One class at one time: what is kept of it, and what becomes of it.

    The gradebook takes results in batches. One is kept, with `kept.json` as its seal, once its batch was committed:
    until then the next grading takes it for unfinished. `turn` is to be called every second or so, `flush` at the end.
    """

    def __init__(self, root: Path, settings: gradebook.Settings, plan: Plan, book: gradebook.Gradebook) -> None:
        self._root, self._settings, self._book = root, settings, book
        self.plan = msgspec.structs.replace(plan, kept=str(root / shelf.FOLDER / plan.assignment.name))
        self._batches = gradebook.Batches(book, self._settle, self._refuse)
        self._unsealed: dict[str, Graded] = {}
        self._settled: dict[str, Score] = {}
        """Student -> the score, where recording it made another one of it."""
        self._recorded: Mapping[str, str] = book.recorded(plan.assignment.name)

    def _place(self, student: str) -> Path:
        return Path(self.plan.kept) / student

    def sweep(self, submissions: Sequence[Submission]) -> None:
        """Remove what a killed grader left unfinished."""
        shelf.sweep_scratch()
        name, autograded = self.plan.assignment.name, self._settings.autograded
        each = [submission.student for submission in submissions]
        scores = [course.score_file(self._root, student, name).parent for student in each]
        shelf.sweep([autograded, *(autograded / student for student in each), *scores, *map(self._place, each)])

    # --- deciding -------------------------------------------------------------------------------------------------

    def decide(self, submission: Submission, *, force: bool = False) -> Decision:
        """What has to be done with one submission."""
        now = grading.ingredients(self.plan, submission)
        kept = shelf.load(self._place(submission.student))
        action, because = self._needed(submission.student, kept, now)
        if force and action != "run":
            return Decision(student=submission.student, action="run", because=("it was asked for", *because))
        return Decision(student=submission.student, action=action, because=because)

    def _needed(self, student: str, kept: Kept | None, now: Ingredients) -> tuple[Action, tuple[str, ...]]:
        score, every = self.score(student), tuple(self.plan.notebooks)
        if kept is None:
            return self._anew(student, every, now), (f"it was never graded{' to the end' if score else ''}",)
        if score is None or not self._is_whole(student, kept):
            return self._anew(student, every, now), ("its score is not the one that was kept",)
        differing = changes(kept.ingredients, now) if kept.ingredients.run else ()
        if score.status == "unscored":
            return self._anew(student, every, now), ("it has no score: something of ours broke", *differing)
        if (kept.ingredients.run, kept.ingredients.checks) != (now.run, now.checks):
            return self._anew(student, kept.stems, now), differing
        missing = self._missing(student, kept)
        if not differing and not missing:
            return "keep", ()
        here = self._has_runs(student, kept.stems, now, whole=False)
        return ("record" if here else "run"), (*differing, *missing)

    def _anew(self, student: str, stems: Sequence[str], now: Ingredients) -> Action:
        """How a submission is graded again."""
        return "check" if self._has_runs(student, stems, now) else "run"

    def _missing(self, student: str, kept: Kept) -> tuple[str, ...]:
        """What of a kept result is not there any more."""
        folder = self._settings.autograded / student / self.plan.assignment.name
        here = all((folder / f"{stem}.ipynb").is_file() for stem in kept.stems)
        held = self._recorded.get(student, "") == kept.gradebook
        return (
            *(() if held else ("the gradebook does not hold its points",)),
            *(() if here else ("its executed notebook is gone",)),
        )

    def _is_whole(self, student: str, kept: Kept) -> bool:
        """Whether score.json is the one that was kept, of notebooks that this assignment has."""
        file = course.score_file(self._root, student, self.plan.assignment.name)
        known = set(kept.stems) <= set(self.plan.notebooks)
        return known and file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == kept.score_sha256

    def _has_runs(self, student: str, stems: Sequence[str], now: Ingredients, *, whole: bool = True) -> bool:
        """Whether the runs of these notebooks are there, and may stand for new ones if they are to be `whole`."""
        for stem in stems:
            run = shelf.read_run(shelf.run_file(self._place(student), stem))
            if run is None or run.key != run_key(now, stem) or (whole and not run.whole):
                return False
        return True

    def score(self, student: str) -> Score | None:
        """The score that is kept; None if there is none that can be read."""
        return course.score(self._root, student, self.plan.assignment.name)

    # --- keeping --------------------------------------------------------------------------------------------------

    def again(self, submission: Submission) -> Score:
        """Record a kept result again: the same points, after the lateness of now."""
        place = self._place(submission.student)
        kept, score = shelf.load(place), self.score(submission.student)
        if kept is None or score is None:
            raise CourseError("what was kept of it has gone meanwhile.", where=str(place), fix="run this again")
        runs = {stem: shelf.read_run(shelf.run_file(place, stem)) for stem in kept.stems}
        executed = {stem: msgspec.json.decode(run.executed) for stem, run in runs.items() if run is not None}
        depends = grading.ingredients(self.plan, submission)
        graded = Graded(score=score, executed=executed, ingredients=depends, notes=kept.notes)
        return self._finish(grading.timed(self.plan, submission, graded))

    def keep(self, graded: Graded) -> Score:
        """Keep one result. One that nbgrader cannot keep costs nobody else theirs."""
        place = self._place(graded.score.student)
        for stem, run in graded.runs.items():  # where there is none, an older one stays: it is known by its key
            shelf.put_run(place, stem, run)
        return self._finish(graded)

    def _finish(self, graded: Graded) -> Score:
        """Write the score before, the score and what nbgrader keeps; what says that this was done follows."""
        student = graded.score.student
        self._keep_before(graded)
        course.write_score(self._root, graded.score)
        log = course.score_file(self._root, student, graded.score.assignment).with_name("grader.log")
        if graded.log:
            course.write(log, graded.log.encode())
        else:
            log.unlink(missing_ok=True)
        self._unsealed[student] = graded
        try:
            self._write_executed(graded)
        except CourseError as error:
            self._refuse(graded.score, error)
        except OSError as error:
            raise course.unwritable(error, self._settings.autograded) from error
        else:
            self._batches.add(gradebook.Entry(graded.score, self.plan.cells, graded.executed, graded.submitted_at))
        return self.settled(graded.score)

    def turn(self) -> None:
        """Write what waits for the gradebook, if it is much or has waited long."""
        self._batches.turn()

    def flush(self) -> None:
        """Write all that waits for the gradebook."""
        self._batches.flush()

    def settled(self, score: Score) -> Score:
        """The score as it was recorded: after nbgrader's own penalty, or not there if nbgrader had no place for it."""
        return self._settled.get(score.student, score)

    def _settle(self, scores: Sequence[Score]) -> None:
        """The gradebook holds these, so that in a plain course its late policy can be asked, which looks there."""
        if self._settings.plain:
            late = self._book.late(self.plan.assignment.name, [score.student for score in scores])
            scores = [score for each in scores if (score := self._penalized(each, late=each.student in late))]
        self._seal(scores)

    def _penalized(self, score: Score, *, late: bool) -> Score | None:
        """The score after the penalty that the course's own nbgrader plugin takes, written; None if it was refused."""
        if score.earned == "unscored":
            return score
        penalty = 0.0
        if late:
            try:
                penalty = scoring.total(self._book.late_penalty(score.student, score.assignment).values())
            except CourseError as error:
                self._refuse(score, error)
                return None
        grade = scoring.lateness(None, self._unsealed[score.student].submitted_at, None, score.earned)
        final = msgspec.structs.replace(score, grade=scoring.penalized(grade, score.earned, penalty))
        if final != score:
            self._settled[score.student] = final
            course.write_score(self._root, final)
        return final

    def _refuse(self, score: Score, error: CourseError) -> None:
        """Write and keep the score that is not there because nbgrader has no place for it."""
        reason = f"It cannot be kept: {error.what.rstrip('.')}. The instructor has to mend this: {error.fix}"
        unscored = {"status": "unscored", "earned": "unscored", "grade": None}
        self._settled[score.student] = msgspec.structs.replace(score, reason=reason, **unscored)
        course.write_score(self._root, self._settled[score.student])
        self._seal([score])

    def _seal(self, scores: Sequence[Score]) -> None:
        """Write what says that all of these results was written, now that it was."""
        name = self.plan.assignment.name
        held = self._book.recorded(name, [score.student for score in scores])
        for student in dict.fromkeys(score.student for score in scores):
            graded = self._unsealed.pop(student)
            file = course.score_file(self._root, student, name)
            kept = Kept(
                ingredients=graded.ingredients,
                score_sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
                gradebook=held.get(student, ""),
                stems=tuple(sorted(graded.executed)),
                notes=graded.notes,
                graded_at=datetime.now(UTC),
            )
            shelf.save(self._place(student), kept)

    def _keep_before(self, graded: Graded) -> None:
        """Keep what the new score takes the place of, if that was whole and is not the same."""
        student = graded.score.student
        kept, old = shelf.load(self._place(student)), self.score(student)
        if kept is None or old is None or not self._is_whole(student, kept):
            return
        if kept.ingredients != graded.ingredients or points(old) != points(graded.score):
            shelf.save(self._place(student), Before(ingredients=kept.ingredients, score=old))

    def _write_executed(self, graded: Graded) -> None:
        """Write the executed notebooks for nbgrader's feedback; of what was not run there are none."""
        score, settings = graded.score, self._settings
        folder = settings.submitted / score.student / score.assignment
        if graded.executed:
            reasons = {each.id: each.reason for each in score.waiting if each.reason}
            ids = cellgrades.check_ids(self.plan.cells)
            why = {place: reasons[name] for place, name in ids.items() if name in reasons}
            gradebook.write_autograded(
                settings, score.student, score.assignment, graded.executed, folder, self.plan.cells, why
            )


# --- what moved ------------------------------------------------------------------------------------------------------


def moved(root: Path, name: str) -> list[Moved]:
    """Whose score differs from the one before it, by student."""
    found = []
    for score in course.scores(root, name):
        place = shelf.folder(root, name, score.student)
        kept, before = shelf.load(place), shelf.load_before(place)
        if kept is not None and before is not None and points(before.score) != points(score):
            found.append(
                Moved(
                    student=score.student,
                    before=before.score,
                    now=score,
                    checks=differing(before.score, score),
                    because=changes(before.ingredients, kept.ingredients) or ("nothing that the grader depends on",),
                )
            )
    return found


def points(score: Score) -> tuple[object, ...]:
    """What a score says: its points, and what lateness leaves of them."""
    return score.status, score.earned, score.possible, score.grade and score.grade.earned


def differing(before: Score, now: Score) -> tuple[str, ...]:
    """The ids of the checks that earned something else, or came or went."""
    old, new = ({check.id: (check.earned, check.points) for check in each.checks} for each in (before, now))
    return tuple(name for name in dict.fromkeys((*new, *old)) if old.get(name) != new.get(name))
