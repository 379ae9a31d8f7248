"""Commands for whoever grades: grade, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from coursekit.cli import printing, progress

if TYPE_CHECKING:
    from coursekit.records import SandboxName


@click.command()
@click.argument("name")
@click.argument("students", nargs=-1)
@printing.course_option
@printing.sandbox_option
@printing.jobs_option
@click.option(
    "--scheduler",
    default="",
    metavar="ADDRESS",
    help="Grade on the workers of a dask scheduler, tcp://HOST:PORT or tls://HOST:PORT; they set how many at once.",
)
@printing.json_option
def grade(
    name: str,
    students: tuple[str, ...],
    course: Path,
    sandbox: SandboxName,
    jobs: int | None,
    scheduler: str,
    as_json: bool,
) -> None:
    """Run every check on every submission, each in its own sandbox.

    Takes what lies in submitted/STUDENT/NAME, or only the STUDENTS named. Scores go to
    scores/STUDENT/NAME/score.json and into the gradebook; marks that people gave stay. A failing student is no failure
    of this command.
    """
    if scheduler and jobs:
        raise click.UsageError("--jobs is for this machine; on a scheduler's workers, start them with --nthreads N.")
    from coursekit import batch, planning  # noqa: PLC0415 - help must come at once
    from coursekit import course as courses  # noqa: PLC0415
    from coursekit.report import terminal  # noqa: PLC0415

    root = courses.find(course)
    total = len(courses.submissions(planning.facts(root)[1].submitted, name, students))
    with progress.progress(total, f"Grading {name}") as tell:
        scores = batch.grade_class(
            root,
            name,
            students=students,
            jobs=jobs or 0,
            box=sandbox,
            scheduler=scheduler,
            progress=tell,
            notice=tell.notice,
        )
    if as_json:
        printing.document("class", assignment=name, scores=scores)
        return
    printing.show(terminal.class_table(scores))
    click.echo(f"Scores: {root / 'scores'}    Next: coursekit report {name}")


@click.command()
@click.argument("name")
@printing.course_option
@printing.json_option
def report(name: str, course: Path, as_json: bool) -> None:
    """Write grades and feedback.

    A page per student goes to feedback/STUDENT/NAME/score.html, beside nbgrader's own feedback; the table of the class
    to scores/NAME.csv.
    """
    from coursekit import course as courses  # noqa: PLC0415 - help must come at once
    from coursekit import reporting  # noqa: PLC0415

    with printing.waiting(f"Writing the feedback on {printing.safe(name)}..."):
        written = reporting.report(courses.find(course), name)
    if as_json:
        printing.document("report", report=written)
        return
    for student, page in written.pages.items():
        click.echo(f"  {printing.safe(student)}: {page}")
    click.echo(f"Class table: {written.table}")
