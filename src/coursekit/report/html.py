"""A score as one page that stands by itself: no scripts, nothing fetched, readable on a phone and on paper.

Everything in it is escaped by the template and bounded by `phrases`; the page's own policy forbids the rest, so that
even a mistake here could neither run nor load anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from markupsafe import Markup

from coursekit.figures import duration, memory, points
from coursekit.records import Check, Failure, Provenance, Record, Run, Score
from coursekit.report import phrases
from coursekit.report.bars import Bar, bar
from coursekit.report.phrases import Word, clean
from coursekit.report.templates import template, text

_HASH_DIGITS = 12


class Row(Record, frozen=True, kw_only=True):
    """A check as the page shows it."""

    id: str
    sentence: str
    word: Word
    symbol: str
    share: str
    hint: str = ""
    figure: str = ""
    origin: str = ""
    bar: Bar | None = None


class Page(Record, frozen=True, kw_only=True):
    """A score as the page shows it: every text is final but for escaping."""

    course: str
    title: str
    student: str
    points: str
    """What was earned, after lateness; empty if there is no score."""
    possible: str
    counts: tuple[tuple[Word, str, int], ...]
    remarks: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    failures: tuple[Failure, ...]
    more_failures: str
    resources: tuple[tuple[str, str], ...]
    provenance: tuple[tuple[str, str], ...]


def page(score: Score, course_title: str = "") -> str:
    """Give the feedback page of one submission as a whole HTML document."""
    style = text("page.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    filled = template("page.html.jinja")
    return filled.render(page=_page(score, course_title), style=Markup(style), style_hash=digest)  # noqa: S704 - ours


def fragment(score: Score) -> str:
    """Give the score as a table to stand below a notebook's cell, in the notebook's own colours."""
    return template("cell.html.jinja").render(page=_page(score, ""))


def _page(score: Score, course_title: str) -> Page:
    final = score.grade.earned if score.grade else score.earned
    return Page(
        course=clean(course_title, phrases.MAX_TITLE),
        title=phrases.title(score),
        student=clean(score.student, 80),
        points="" if "unscored" in {final, score.earned} else points(final),
        possible=points(score.possible),
        counts=tuple((word, phrases.SYMBOLS[word], count) for word, count in phrases.counts(score)),
        remarks=tuple(phrases.remarks(score)),
        rows=tuple(_rows(score)),
        notes=tuple(phrases.notes(score)),
        failures=tuple(phrases.failures(score.run)),
        more_failures=phrases.more_failures(score.run),
        resources=tuple(_resources(score.run)) if score.run else (),
        provenance=tuple(_provenance(score.provenance)) if score.provenance else (),
    )


def _rows(score: Score) -> Iterator[Row]:
    """Give the checks in their order, then the cells that wait for a person."""
    for check in score.checks:
        yield _row(check)
    for done in score.marked:
        yield Row(
            id=clean(done.id, 80),
            sentence="A person marked this answer.",
            word="marked",
            symbol=phrases.SYMBOLS["marked"],
            share=f"{points(done.earned)} / {points(done.points)}",
        )
    known = {check.id for check in score.checks}
    for cell in score.waiting:
        if cell.id in known:  # its check says so; why is for the instructor
            continue
        yield Row(
            id=clean(cell.id, 80),
            sentence="A person marks this answer.",
            word="waiting",
            symbol=phrases.SYMBOLS["waiting"],
            share=f"- / {points(cell.points)}",
        )


def _row(check: Check) -> Row:
    """Give a check as its student may see it: what a hidden check said when it broke may hold hidden data."""
    secret = check.hidden and check.outcome == "broken"
    found = check.measurement
    return Row(
        id=clean(check.id, 80),
        sentence=clean(check.sentence) or clean(check.id, 80),
        word=check.outcome,
        symbol=phrases.SYMBOLS[check.outcome],
        share=phrases.share(check),
        hint="" if secret else clean(check.hint, phrases.MAX_HINT),
        figure=phrases.measured(found, check.target) if found else "",
        origin=" · ".join(phrases.origin(found)) if found else "",
        bar=bar(found, check.target) if found else None,
    )


def _resources(run: Run) -> Iterator[tuple[str, str]]:
    """Give what the run used and what it left behind."""
    if run.state != "not run":
        yield "Time", f"{duration(run.wall_seconds)} ({duration(run.cpu_seconds)} of processor time)"
        yield "Memory at its peak", memory(run.peak_memory_bytes)
    for name, file in (("Artifact", run.artifact), ("Baseline", run.baseline)):
        if file:
            yield name, f"{clean(file.path, 200)}: {clean(file.problem) or memory(file.bytes)}"


def _provenance(record: Provenance) -> Iterator[tuple[str, str]]:
    """Give the short hashes and versions that a question about a score is answered with."""
    hashes = {
        "Submission": record.submission_sha256,
        "Artifact": record.artifact_sha256,
        "Grader": record.grader_sha256,
        "Environment": record.environment_sha256,
        **{f"Profile {name}": digest for name, digest in record.profiles.items()},
    }
    for name, digest in hashes.items():
        if digest:
            yield clean(name, 80), clean(digest, 80)[:_HASH_DIGITS]
    yield "Seed", clean(record.seed_id, 80)
    yield "coursekit", clean(record.coursekit, 40)
    for name, version in record.tools.items():
        yield clean(name, 80), clean(version, 40)
