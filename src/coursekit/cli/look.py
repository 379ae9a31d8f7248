"""Commands for looking around: measure, profiles, doctor, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from coursekit.cli import printing, progress

if TYPE_CHECKING:
    from coursekit.records import SandboxName


def _chart(_context: click.Context, option: click.Parameter, file: Path | None) -> Path | None:
    """Refuse before anything is measured what can only be a mistake; a model's file is not written over."""
    if file is None:
        return None
    if file.suffix != ".svg":
        raise click.BadParameter(f"'{file}' must end in .svg.", param=option)
    if not file.parent.is_dir():
        raise click.BadParameter(f"there is no folder '{file.parent}'.", param=option)
    return file


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--profile", "names", multiple=True, metavar="NAME", help="A reference board; may be given more than once."
)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="MODEL",
    help="Another model, to give the ratio of figures to.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Inputs x and labels y, to give the accuracy on.",
)
@click.option("--layers", "every", is_flag=True, help="Show every operator, on every board.")
@click.option(
    "--chart",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    callback=_chart,
    metavar="FILE.svg",
    help="Draw accuracy, size and latency.",
)
@click.option(
    "--bars",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    callback=_chart,
    metavar="FILE.svg",
    help="Draw what each operator takes.",
)
@printing.own_profiles_option
@printing.sandbox_option
@printing.json_option
def measure(
    model: Path,
    names: tuple[str, ...],
    against: Path | None,
    data: Path | None,
    every: bool,
    chart: Path | None,
    bars: Path | None,
    course: Path | None,
    sandbox: SandboxName,
    as_json: bool,
) -> None:
    """Measure a model file: bytes, operators, arena, latency.

    The file is opened in a sandbox, since a model is hostile input. Figures are the same on every machine. With one
    profile the latency is shown operator by operator; several stand beside each other.
    """
    from coursekit import course as courses  # noqa: PLC0415 - help must come at once
    from coursekit import measuring  # noqa: PLC0415
    from coursekit.cli.measured import report  # noqa: PLC0415

    if (chart or bars) and not names:
        raise click.UsageError("A chart needs a --profile.")
    if chart and chart == bars:
        raise click.UsageError("--chart and --bars need a file each.")
    with printing.waiting(f"Measuring {printing.safe(model.name)}..."):
        found = measuring.measure(
            model, names, against=against, data=data, folders=courses.profile_folders(course), box=sandbox
        )
        drawn = measuring.draw(found, chart=chart, bars=bars)
    if as_json:
        printing.document("measurements", **measuring.document(found))
    else:
        printing.show(*report(found, every=every))
        for file in drawn:
            click.echo(f"Drawn: {file}")


@click.group(invoke_without_command=True)
@printing.own_profiles_option
@printing.json_option
@click.pass_context
def profiles(context: click.Context, course: Path | None, as_json: bool) -> None:
    """List the reference boards."""
    if context.invoked_subcommand is not None:
        return
    from coursekit import course as courses  # noqa: PLC0415 - help must come at once
    from coursekit import profiles as boards  # noqa: PLC0415
    from coursekit.cli.tables import profile_table  # noqa: PLC0415

    folders = courses.profile_folders(course)
    found = [boards.load(name, folders) for name in boards.names(folders)]
    if as_json:
        printing.document("profiles", profiles=found)
    else:
        printing.show(profile_table(found))


@profiles.command("show")
@click.argument("name")
@printing.own_profiles_option
@printing.json_option
def show_profile(name: str, course: Path | None, as_json: bool) -> None:
    """Print every figure of one board with its source."""
    from coursekit import course as courses  # noqa: PLC0415 - help must come at once
    from coursekit import profiles as boards  # noqa: PLC0415
    from coursekit.cli.tables import figure_table  # noqa: PLC0415

    board = boards.load(name, courses.profile_folders(course))
    if as_json:
        printing.document("profile", profile=board)
    else:
        printing.show(figure_table(board))


@profiles.command("verify")
@printing.own_profiles_option
@printing.json_option
def verify_profiles(course: Path | None, as_json: bool) -> None:
    """Hold every board's published error to its measurements.

    Refits each board without one model, then without one family of models, and predicts what was left out: the mean
    error by file and by family, the worst, and the share inside the band. Leaves with 1 if a published band is
    narrower than the error, or a price is not what the measurements give.
    """
    from coursekit import calibrating  # noqa: PLC0415 - help must come at once
    from coursekit import course as courses  # noqa: PLC0415
    from coursekit.cli.tables import verdict_table  # noqa: PLC0415

    found = calibrating.verify(courses.profile_folders(course))
    well = all(each.holds for each in found)
    if as_json:
        printing.document("verdicts", well=well, verdicts=found)
    else:
        printing.show(verdict_table(found))
    if not well:
        raise click.exceptions.Exit(1)


@profiles.command("fit")
@click.argument("name")
@click.option("--dry-run/--write", default=True, show_default=True, help="Only show the change, or write it.")
@printing.own_profiles_option
@printing.json_option
def fit_profile(name: str, dry_run: bool, course: Path | None, as_json: bool) -> None:
    """Fit one board's prices to its measurements again."""
    from coursekit import calibrating  # noqa: PLC0415 - help must come at once
    from coursekit import course as courses  # noqa: PLC0415
    from coursekit import profiles as boards  # noqa: PLC0415
    from coursekit.cli.tables import change_table  # noqa: PLC0415

    folders = courses.profile_folders(course)
    change = calibrating.fit(name, folders)
    if not dry_run:
        calibrating.write(change, boards.path(name, folders))
    if as_json:
        printing.document("fit", written=not dry_run, change=change)
    else:
        printing.show(change_table(change, written=not dry_run))


@click.command()
@click.option("--attack", is_flag=True, help="Hand in hostile submissions instead, and grade them; takes minutes.")
@click.option(
    "--only", multiple=True, metavar="NAME", help="With --attack: only attacks of this name; * stands for any."
)
@printing.course_option
@printing.sandbox_option
@printing.json_option
def doctor(attack: bool, only: tuple[str, ...], course: Path, sandbox: SandboxName, as_json: bool) -> None:
    """Say what this machine can run, and what it lacks.

    Starts real boxes and tries every limit in them; in a course it also lists the test cells that would be safer as
    checks outside. With --attack, over a hundred hostile submissions are graded by the real command in a course of
    its own: as root, if you are, and as an ordinary user, with cold kernels and with warm ones. Leaves with 5 if
    submissions cannot be graded safely here.
    """
    from coursekit import doctor as doctors  # noqa: PLC0415 - help must come at once
    from coursekit.cli.tables import diagnosis_tables  # noqa: PLC0415

    if only and not attack:
        raise click.UsageError("--only goes with --attack.")
    if attack:
        if sandbox != "bwrap":
            raise click.UsageError("--attack is for a sandbox with walls; without one nothing would hold.")
        _attack(only, as_json=as_json)
        return
    with printing.waiting("Trying every limit in a real box..."):
        diagnosis = doctors.diagnose(course, sandbox)
    if as_json:
        printing.document("doctor", well=diagnosis.well, diagnosis=diagnosis)
    else:
        printing.show(*diagnosis_tables(diagnosis))
    _leave_unless(diagnosis.well)


def _attack(only: tuple[str, ...], *, as_json: bool) -> None:
    """Attack the grader, and show what held."""
    from coursekit import attacking  # noqa: PLC0415 - help must come at once
    from coursekit.cli.attacks import siege_tables  # noqa: PLC0415

    with printing.telling() as tell:
        siege = attacking.besiege(only, tell=tell)
    if as_json:
        printing.document("attacks", held=siege.held, siege=siege)
    else:
        printing.show(*siege_tables(siege))
    _leave_unless(siege.held)


def _leave_unless(well: bool) -> None:
    from coursekit.errors import MachineError  # noqa: PLC0415 - help must come at once

    if not well:
        raise click.exceptions.Exit(MachineError.exit_code)


@click.command()
@printing.course_option
@printing.sandbox_option
@printing.jobs_option
@printing.json_option
def demo(course: Path, sandbox: SandboxName, jobs: int | None, as_json: bool) -> None:
    """Grade a made-up class of six and show the results.

    Makes a course of its own in demo/, hands in six submissions of `quantize`, one of them hostile and one that never
    ends, grades them in sandboxes and writes the feedback.
    """
    from coursekit import course as courses  # noqa: PLC0415 - help must come at once
    from coursekit import demo as demos  # noqa: PLC0415
    from coursekit.report import terminal  # noqa: PLC0415

    root = courses.find(course)
    total = len(courses.cases(root, demos.ASSIGNMENT, "demo"))
    with progress.progress(total, "Grading the demonstration") as tell:
        shown = demos.demo(root, jobs=jobs or 0, box=sandbox, progress=tell, notice=tell.notice)
    if as_json:
        printing.document("demo", demo=shown)
        return
    printing.show(terminal.class_table(shown.scores))
    click.echo(f"Gradebook:       {shown.gradebook}")
    click.echo(f"Class table:     {shown.table}")
    click.echo("Feedback pages:")
    for page in shown.pages.values():
        click.echo(f"  {page}")
