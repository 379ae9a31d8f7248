"""Commands for whoever grades: grade, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from coursekit.cli import printing, progress

if TYPE_CHECKING:
    from coursekit.keeping import Decision
    from coursekit.records import SandboxName


@click.command()
@click.argument("name")
@click.argument("students", nargs=-1)
@click.option("--force", is_flag=True, help="Run everything, whether it was graded as it is or not.")
@click.option("--explain", is_flag=True, help="Say for each submission what was done, and why.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and why, and do none of it.")
@click.option("--cold", is_flag=True, help="Start every kernel cold: slower, and the scores are the same.")
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
    **asked: bool,
) -> None:
    """Run every check on every submission, each in its own sandbox.

    Takes what lies in submitted/STUDENT/NAME, or only the STUDENTS named. What was graded before and depends on nothing
    that changed since is kept; where only checks changed, they are asked again without running the notebooks. Scores go
    to scores/STUDENT/NAME/score.json and into the gradebook; marks that people gave stay. A failing student is no
    failure of this command.
    """
    if scheduler and jobs:
        raise click.UsageError("--jobs is for this machine; on a scheduler's workers, start them with --nthreads N.")
    from coursekit import batch, planning, warming  # noqa: PLC0415 - help must come at once
    from coursekit import course as courses  # noqa: PLC0415
    from coursekit.cli.tables import decision_table  # noqa: PLC0415
    from coursekit.report import terminal  # noqa: PLC0415

    root, force = courses.find(course), asked["force"]
    if asked["dry_run"]:
        _foreseen(name, batch.foresee(root, name, students=students, box=sandbox, force=force), as_json=as_json)
        return
    done: list[Decision] = []
    warm = not (scheduler or asked["cold"] or sandbox == "none")
    with warming.ahead(root, name, wanted=warm, force=force) as ahead:
        total = len(courses.submissions(planning.facts(root)[1].submitted, name, students))
        with progress.progress(total, f"Grading {name}") as tell:
            scores = batch.grade_class(
                root,
                name,
                students=students,
                jobs=jobs or 0,
                box=sandbox,
                scheduler=scheduler,
                ahead=ahead,
                force=force,
                cold=asked["cold"],
                explain=done.extend,
                progress=tell,
                notice=tell.notice,
            )
    if as_json:
        printing.document("class", assignment=name, scores=scores, **({"decisions": done} if asked["explain"] else {}))
        return
    printing.show(terminal.class_table(scores), *([decision_table(done)] if asked["explain"] else []))
    kept = sum(each.action in ("keep", "record") for each in done)
    told = f"{len(done) - kept} graded, {kept} kept as they were.    " if kept else ""
    click.echo(f"{told}Scores: {root / 'scores'}    Next: coursekit report {name}")


def _foreseen(name: str, decisions: list[Decision], *, as_json: bool) -> None:
    """Show what would be done."""
    from coursekit.cli.tables import decision_table  # noqa: PLC0415 - help must come at once

    if as_json:
        printing.document("decisions", assignment=name, decisions=decisions)
    else:
        printing.show(decision_table(decisions))


@click.command()
@click.argument("name")
@click.option("--diff", is_flag=True, help="Only list whose score moved since the grading before, and why.")
@printing.course_option
@printing.json_option
def report(name: str, course: Path, diff: bool, as_json: bool) -> None:
    """Write grades and feedback.

    A page per student goes to feedback/STUDENT/NAME/score.html, beside nbgrader's own feedback; the table of the class
    to scores/NAME.csv.
    """
    from coursekit import course as courses  # noqa: PLC0415 - help must come at once
    from coursekit import keeping, reporting  # noqa: PLC0415
    from coursekit.cli.tables import moved_table  # noqa: PLC0415

    if diff:
        moved = keeping.moved(courses.find(course), name)
        if as_json:
            printing.document("diff", assignment=name, moved=moved)
        else:
            printing.show(moved_table(moved))
        return
    with printing.waiting(f"Writing the feedback on {printing.safe(name)}..."):
        written = reporting.report(courses.find(course), name)
    if as_json:
        printing.document("report", report=written)
        return
    for student, page in written.pages.items():
        click.echo(f"  {printing.safe(student)}: {printing.safe_path(page)}")
    click.echo(f"Class table: {written.table}")
