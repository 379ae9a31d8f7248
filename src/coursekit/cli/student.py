"""The command for students: check."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from coursekit.cli import printing


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path())
@click.option(
    "--sandbox",
    type=click.Choice(["auto", "bwrap", "none"]),
    default="auto",
    show_default=True,
    help="How the notebook is kept in; auto takes bwrap where it is installed.",
)
@printing.json_option
def check(folder: Path, sandbox: Literal["auto", "bwrap", "none"], as_json: bool) -> None:
    """Run the public checks on the work in this folder.

    Runs your notebook from top to bottom, measures what it made, and shows what the grader would say to it. Leaves with
    1 if a check did not pass. Checks that stay hidden until you hand in are counted, not run.
    """
    from coursekit import checking  # noqa: PLC0415 - help must come at once
    from coursekit.report import terminal  # noqa: PLC0415

    with printing.waiting("Running your notebook from top to bottom..."):
        score = checking.check(folder.resolve(), None if sandbox == "auto" else sandbox)
    if as_json:
        printing.document("check", score=score)
    else:
        printing.show(terminal.score_table(score))
    if any(each.outcome != "passed" for each in score.checks) or score.status == "unscored":
        raise click.exceptions.Exit(1)
