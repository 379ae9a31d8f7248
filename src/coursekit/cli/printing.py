"""How commands speak: sections of help, one JSON document, tables, and progress on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

_QUIET_SECONDS = 15.0


class SectionedGroup(click.Group):
    """A group whose help lists its commands by who uses them."""

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[click.Command]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sections = sections
        for commands in sections.values():
            for command in commands:
                self.add_command(command)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One list per section, in the order in which one needs them."""
        for title, commands in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(str(command.name), command.get_short_help_str(80)) for command in commands])


def course_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that names the course folder."""
    return click.option(
        "--course",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=Path(),
        metavar="FOLDER",
        help="The course folder, or any folder in it.  [default: here]",
    )(command)


def own_profiles_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that names the course whose own profiles count too; none is needed."""
    return click.option(
        "--course",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=None,
        metavar="FOLDER",
        help="The course whose own profiles count too.  [default: the one here, if any]",
    )(command)


def sandbox_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that says how code is kept in."""
    return click.option(
        "--sandbox",
        type=click.Choice(["bwrap", "none"]),
        default="bwrap",
        show_default=True,
        help="How student code is kept in. 'none' keeps nothing in: only for work you trust; the score says so.",
    )(command)


def jobs_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that says how many run at once."""
    return click.option(
        "--jobs", type=click.IntRange(1), default=None, metavar="N", help="How many at once.  [default: the cores]"
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that asks for one JSON document on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else.")(
        command
    )


def document(schema: str, **content: Any) -> None:
    """Print one JSON document; records become objects."""
    import msgspec  # noqa: PLC0415 - help must come at once

    data = msgspec.json.format(msgspec.json.encode({"schema": f"coursekit/{schema}/v1", **content}))
    click.echo(data.decode())


def show(*renderables: Any) -> None:
    """Print tables and text for people."""
    from rich.console import Console  # noqa: PLC0415 - help must come at once

    console = Console(highlight=False)
    for each in renderables:
        console.print(each)


@contextmanager
def waiting(doing: str) -> Iterator[None]:
    """A line on stderr that moves while something takes seconds; nothing where stderr is no terminal."""
    from rich.console import Console  # noqa: PLC0415 - help must come at once

    with Console(stderr=True).status(doing):
        yield


@contextmanager
def telling() -> Iterator[Callable[[str], None]]:
    """A line on stderr whose words change; a line for each change of tens of seconds where stderr is no terminal."""
    from rich.console import Console  # noqa: PLC0415 - help must come at once

    console, said = Console(stderr=True, highlight=False), [0.0]

    def line(words: str) -> None:
        if time.monotonic() - said[0] > _QUIET_SECONDS:
            said[0] = time.monotonic()
            click.echo(words, err=True)

    if not console.is_terminal:
        yield line
        return
    with console.status("") as status:
        yield status.update


def safe(text: str) -> str:
    """A student's name as a terminal may show it."""
    from coursekit.report.phrases import clean  # noqa: PLC0415 - help must come at once

    return clean(text, 40)


def safe_path(path: str) -> str:
    """A path with a student's name in it as a terminal may show it: as it is, or else as Python would write it."""
    return path if path.isprintable() else ascii(path)
