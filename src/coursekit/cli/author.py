"""Commands for whoever writes assignments: new, prove, release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from coursekit.cli import printing, progress

if TYPE_CHECKING:
    from coursekit.records import SandboxName


@click.command()
@click.argument("name")
@click.option("--title", default="", help="The assignment's title.")
@printing.course_option
@click.option("--dry-run", is_flag=True, help="Say which files would be made, and make none.")
@printing.json_option
def new(name: str, title: str, course: Path, dry_run: bool, as_json: bool) -> None:
    """Make the folder of a new assignment.

    It comes complete: a notebook, a check, a target's place, a known wrong answer. `coursekit prove NAME` passes on it
    at once; change it from there.
    """
    from coursekit import scaffold  # noqa: PLC0415 - help must come at once

    files = scaffold.new(course, name, title=title, dry_run=dry_run)
    if as_json:
        printing.document("new", assignment=name, files=files, dry_run=dry_run)
        return
    for file in files:
        click.echo(f"{'would make' if dry_run else 'made'}  {file}")
    if not dry_run:
        click.echo(f"\nNext: coursekit prove {name}")


@click.command()
@click.argument("names", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Prove every assignment of the course.")
@click.option("--own-seed", is_flag=True, help="Draw hidden data from this course's own seed, not from the proof's.")
@printing.course_option
@printing.sandbox_option
@printing.jobs_option
@printing.json_option
def prove(
    names: tuple[str, ...],
    every: bool,
    own_seed: bool,
    course: Path,
    sandbox: SandboxName,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Grade the reference and the known wrong answers.

    The reference must earn everything, and each wrong answer in autograder/NAME/wrong/ exactly what its file says.
    Leaves with 1 if one does not.
    """
    from coursekit import course as courses  # noqa: PLC0415 - help must come at once
    from coursekit import proving  # noqa: PLC0415
    from coursekit.cli.tables import proof_table  # noqa: PLC0415

    root = courses.find(course)
    wanted = courses.names(root) if every else list(names)
    if not wanted:
        raise click.UsageError("Name an assignment, or say --all.")
    proofs = []
    for name in wanted:
        total = 1 + len(courses.cases(root, courses.assignment(root, name).name))
        with progress.progress(total, f"Proving {name}") as tell:
            proofs += proving.prove(
                root,
                name,
                jobs=jobs or 0,
                box=sandbox,
                own_seed=own_seed,
                progress=tell,
                notice=tell.notice,
            )
    if as_json:
        printing.document("proofs", proofs=proofs)
    else:
        printing.show(proof_table(proofs))
    if not all(proof.holds for proof in proofs):
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("name")
@printing.course_option
@printing.json_option
def release(name: str, course: Path, as_json: bool) -> None:
    """Cut the student copy: no answers, no hidden checks.

    nbgrader's own converter makes release/NAME, and the gradebook learns of its cells. Doing it again changes nothing
    that students did or people marked.
    """
    from coursekit import course as courses  # noqa: PLC0415 - help must come at once
    from coursekit import release as releasing  # noqa: PLC0415

    with printing.waiting(f"Releasing {printing.safe(name)}..."):
        made = releasing.release(courses.find(course), name)
    if as_json:
        printing.document("release", release=made)
        return
    for file in made.files:
        click.echo(f"  {file}")
    click.echo(f"Released {name}: {made.folder}")
