"""The `coursekit` command: read arguments, call one job, print what it gave.

This is the one place that catches our errors. What is heavy is imported when a command runs, so that help comes at
once.
"""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
from types import FrameType

import click

from coursekit import __version__
from coursekit.cli import author, grader, look, student
from coursekit.cli.printing import SectionedGroup
from coursekit.errors import CoursekitError, lacking

__all__ = ["cli", "main"]

_ENDING = (signal.SIGTERM, signal.SIGHUP)
"""What a machine that shuts down, a scheduler and a terminal that is closed send."""
_KILLED = 128
"""What shells add to the number of the signal that ended a program."""
_GRAMMAR = "rfc3987_syntax"
"""A package that jsonschema imports if it is there. It compiles a grammar for addresses in all scripts, which takes two
seconds, and no schema of a notebook has one."""
_SECTIONS = {
    "Write an assignment": (author.new, author.prove, author.release),
    "Do an assignment": (student.check,),
    "Grade an assignment": (grader.grade, grader.report),
    "Look around": (look.measure, look.profiles, look.doctor, look.demo),
}


@click.group(cls=SectionedGroup, sections=_SECTIONS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="coursekit")
def cli() -> None:
    r"""Write, run and grade course assignments on models that must fit small machines.

    \b
    Start here:
      coursekit demo             grade a made-up class of six and show the results
      coursekit check            score the work in this folder, as a student
      coursekit prove quantize   show that a grader gives full marks to the reference
    """


class _Ended(BaseException):
    """The command was told to end by a signal; like Ctrl-C it passes through everything, which is cleared away."""


def _listen() -> list[int]:
    """Hear what asks the command to end, but for what whoever started it ignores, as nohup does; what was heard."""
    heard: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        _listen_no_more()  # what comes while everything is being ended must not cut that short
        heard.append(number)
        raise _Ended

    for number in _ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)
    return heard


def _listen_no_more() -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def main() -> None:
    """Run the command line and leave with its exit code."""
    ended = _listen()
    wants_json = "--json" in sys.argv[1:]
    sys.modules.setdefault(_GRAMMAR, None)  # type: ignore[arg-type] # how Python is told that a module is not there
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console that cannot show a tick shows a question mark
    try:
        left_with = cli.main(standalone_mode=False)  # click gives the code of an Exit back instead of raising it
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt, _Ended):
        sys.exit(_stopped(ended))
    except (CoursekitError, OSError) as error:
        if ended:  # the terminal that it should have been said on may be what has gone
            sys.exit(_stopped(ended))
        ours = lacking(error) if isinstance(error, OSError) else error
        if ours is None:
            raise
        _explain(ours, wants_json)
        sys.exit(ours.exit_code)
    finally:
        _listen_no_more()  # it is done, and leaves with what it came to
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(left_with if isinstance(left_with, int) else 0)


def _stopped(ended: list[int]) -> int:
    """Say that it was stopped; the exit code."""
    with contextlib.suppress(OSError):
        click.echo("Stopped. What was finished is kept.", err=True)
    return _KILLED + next(iter(ended), signal.SIGINT)


def _explain(error: CoursekitError, wants_json: bool) -> None:
    """What, where and how to mend it, for people on stderr and for programs on stdout."""
    click.echo(f"{click.style('Error:', bold=True)} {error}", err=True)
    if error.fix:
        click.echo(f"  {click.style('Fix:', bold=True)} {error.fix}", err=True)
    if wants_json:
        kind = type(error).__name__
        document = {"schema": "coursekit/error/v1", "error": kind, "what": error.what, "where": error.where}
        click.echo(json.dumps({**document, "fix": error.fix}))
