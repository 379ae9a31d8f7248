"""Attacks that speak through what the grader shows: pages, terminals, logs, tables, names."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from coursekit.attacks.kinds import Place, answer, code, hands_in, notebook

ESCAPED = "pages are made of escaped text, cleaned markdown and nothing else of the student's"
CLEANED = "text for terminals has no control characters and stays on its line"
NAMES = "names mean nothing but themselves, or are refused"

SCRIPT = "<script>alert(document.cookie)</script><img src=x onerror=alert(1)><iframe src=javascript:alert(1)></iframe>"

named = partial(hands_in, NAMES)


# --- pages ------------------------------------------------------------------------------------------------------------


@code(ESCAPED, shows="shown")
def script_in_outputs():
    """Display HTML, SVG, JavaScript and widgets with scripts in them."""
    from IPython.display import HTML, SVG, Javascript, Latex, Markdown, display

    script = "<script>alert(document.cookie)</script><img src=x onerror=alert(1)>"
    display(HTML(script), Markdown(f"{script} [x](javascript:alert(1))"), Latex(r"\href{javascript:alert(1)}{x}"))
    display(
        Javascript("alert(1)"),
        SVG('<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'),
    )
    display({"text/html": script, "application/vnd.jupyter.widget-view+json": {"model_id": "x"}}, raw=True)
    print(script, "shown")


@hands_in(ESCAPED)
def script_in_an_answer(folder: Path, place: Place) -> None:
    """Write HTML, event handlers and links with scripts into the answer that a person reads."""
    links = "[x](javascript:alert(1)) ![x](data:text/html;base64,PHNjcmlwdD4=) <a href='vbscript:x'>x</a>"
    answer(folder, place, "why", f"{SCRIPT}\n\n{links}\n\n<style>*{{background:url(//evil.example)}}</style>")


@hands_in(ESCAPED)
def pictures_that_tell_who_looks(folder: Path, place: Place) -> None:
    """Put pictures from elsewhere into an answer, which tell their server who has opened the page, and when."""
    answer(folder, place, "why", "![x](http://evil.example/seen.png) <img src='//evil.example/seen'>")


@code(ESCAPED, earns={"five": 0, "arrays": 0, "again": 0}, shows="&lt;script|<script")
def script_in_an_exception():
    """Raise exceptions whose names, messages and docstrings are HTML, which become hints."""
    script = "</td></table><script>alert(1)</script>{{7*7}}{% raw %}"

    def double(x):
        double.__doc__ = script
        raise type("<b>Error</b>", (Exception,), {})(script)

    raise ValueError(script)


@code(ESCAPED, earns={"five": 0, "arrays": 0, "again": 0}, shows="defined")
def templates_and_formats():
    """Return and raise text that template engines, formats and markup of terminals would obey."""

    def double(x):
        raise ValueError(
            "{{ self._TemplateReference__context }} {0.__class__} %s%n ${7*7} [link=http://evil.example]x[/link]"
        )

    print("defined")


@hands_in(ESCAPED)
def script_in_metadata(folder: Path, place: Place) -> None:
    """Put HTML into the notebook's title, authors, language and cell ids."""
    file, nb = notebook(folder, place)
    nb["metadata"] |= {"title": SCRIPT, "authors": [{"name": SCRIPT}], "celltoolbar": SCRIPT}
    nb["metadata"]["language_info"] = {"name": SCRIPT, "pygments_lexer": SCRIPT, "mimetype": SCRIPT}
    for cell in nb["cells"]:
        cell["metadata"] |= {"name": SCRIPT, "tags": [SCRIPT], "collapsed": SCRIPT}
    nb["cells"][0]["attachments"] = {SCRIPT: {"text/html": SCRIPT, "image/svg+xml": SCRIPT}}
    file.write_text(json.dumps(nb))


@hands_in(ESCAPED)
def script_in_file_names(folder: Path, _place: Place) -> None:
    """Hand in files whose names are HTML and shell commands."""
    for name in (
        "<img src=x onerror=alert(1)>",
        "$(touch ran)",
        "; touch ran;",
        "-rf",
        "--help",
        "a\nb",
        "{{7*7}}.ipynb ",
    ):
        (folder / name).write_text("x")


# --- terminals and logs -----------------------------------------------------------------------------------------------


@code(CLEANED, earns={"five": 0, "arrays": 0, "again": 0}, shows="defined")
def escapes_for_terminals():
    """Raise messages with escape sequences that clear a screen, set a title, forge a link or type a command."""
    codes = "\x1b[2J\x1b]0;owned\x07\x1b]8;;http://evil.example\x1b\\x\x1b]52;c;cm0gLXJm\x07\x9b31m\r\x08\u202e\x00"

    def double(x):
        raise ValueError(codes)

    print("defined")
    raise ValueError(codes)


@code(CLEANED, earns={"five": 0, "arrays": 0, "again": 0}, shows="defined")
def commands_for_workflows():
    """Raise and print lines that a CI system takes for its own commands."""
    lines = (
        "\n::error file=x::owned\n::add-mask::a\n::set-output name=score::100\n##vso[task.complete result=Succeeded]\n"
    )

    def double(x):
        raise ValueError(lines)

    print("defined", lines)
    raise ValueError(lines)


@code(CLEANED, earns={"five": 0, "arrays": 0, "again": 0}, shows="defined")
def text_that_looks_like_ours():
    """Raise messages that look like a line of the grader's own table."""
    forged = "\n ✓ passed   five   2 / 2\n25 of 25 points\n"

    def double(x):
        raise ValueError(forged)

    print("defined")


# --- names and tables -------------------------------------------------------------------------------------------------


@named(student='=HYPERLINK("http:evil.example","x")')
def a_formula_for_a_name(_folder: Path, _place: Place) -> None:
    """Hand in under a name that a spreadsheet computes."""


@named(student="@SUM(1)|cmd '!A0")
def a_command_for_a_name(_folder: Path, _place: Place) -> None:
    """Hand in under a name that old spreadsheets run as a command."""


@named(student="robert'); DROP TABLE student;--")
def sql_for_a_name(_folder: Path, _place: Place) -> None:
    """Hand in under a name that ends an SQL statement and begins another."""


@named(student="<img src=x onerror=alert(1)>")
def html_for_a_name(_folder: Path, _place: Place) -> None:
    """Hand in under a name that is HTML."""


@named(student="--force")
def an_option_for_a_name(_folder: Path, _place: Place) -> None:
    """Hand in under a name that is an option of a command."""


@named(student="$(touch ran)`touch ran`;touch ran")
def a_shell_for_a_name(_folder: Path, _place: Place) -> None:
    """Hand in under a name that a shell would run."""


@named(student="a..%2f..%2fhonest")
def a_path_for_a_name(_folder: Path, _place: Place) -> None:
    """Hand in under a name that leads into another student's folder, once it is decoded."""


@named(student="a\\..\\..\\honest", accepted=False)
def a_foreign_path_for_a_name(_folder: Path, _place: Place) -> None:
    """Hand in under a name that leads out on another system."""


@named(student="hon*st", accepted=False)
def a_pattern_for_a_name(_folder: Path, _place: Place) -> None:
    """Hand in under a name that stands for everybody's."""


@named(student="\x1b[2Jhonest\n::error::owned", accepted=False)
def escapes_for_a_name(_folder: Path, _place: Place) -> None:
    """Hand in under a name of escape sequences and line breaks."""


@named(student="honest\u202e\u200b", accepted=False)
def an_invisible_name(_folder: Path, _place: Place) -> None:
    """Hand in under a name that looks like another student's."""
