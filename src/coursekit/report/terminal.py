"""A score, and the scores of a class, as tables in a terminal.

All text is put in as plain `Text`, never as markup, so that nothing a student wrote can colour or link anything.
Colours repeat what words and symbols say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from coursekit.figures import points
from coursekit.records import Check, Run, Score
from coursekit.report import phrases
from coursekit.report.phrases import Word

_STYLES: dict[Word, str] = {
    "passed": "green",
    "failed": "red",
    "blocked": "yellow",
    "broken": "bold magenta",
    "marked": "cyan",
    "waiting": "cyan",
}


def score_table(score: Score) -> RenderableType:
    """Give one score: what each check asked, what became of it, what it earned and what may help."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=False, header_style="bold")
    table.add_column("Outcome", no_wrap=True)
    table.add_column("Check", overflow="fold", ratio=1)
    table.add_column("Points", justify="right", no_wrap=True)
    for check in score.checks:
        table.add_row(_outcome(check.outcome), _check(check), Text(phrases.share(check)))
    for done in score.marked:
        sentence = Text(f"{phrases.clean(done.id)}: a person marked this.")
        table.add_row(_outcome("marked"), sentence, Text(f"{points(done.earned)} / {points(done.points)}"))
    for cell in score.waiting:
        why = phrases.clean(cell.reason) or "a person marks this."
        sentence = Text(f"{phrases.clean(cell.id)}: {why}")
        table.add_row(_outcome("waiting"), sentence, Text(f"- / {points(cell.points)}"))
    return Group(_headline(score), table, *_after(score))


def class_table(scores: Sequence[Score]) -> RenderableType:
    """Give the scores of a class, one line per submission, with a legend for the symbols."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("Student", overflow="fold", max_width=24)
    table.add_column("Score", justify="right", no_wrap=True)
    table.add_column("Grade", justify="right", no_wrap=True)
    table.add_column("Checks", no_wrap=True)
    table.add_column("Remarks", overflow="fold")
    for score in scores:
        table.add_row(
            Text(phrases.clean(score.student, 80)),
            _points(score),
            Text(points(score.grade.earned) if score.grade and score.grade.earned != "unscored" else "-"),
            _counts(score),
            Text(_remark(score)),
        )
    marked = any(score.marked for score in scores)
    legend = [_outcome(word) for word in phrases.SYMBOLS if word != "marked" or marked]
    return Group(table, Text("   ").join(legend))


# --- One score -------------------------------------------------------------------------------------------------------


def _headline(score: Score) -> Text:
    line = Text(phrases.title(score), style="bold")
    line.append(f"  {phrases.clean(score.student, 80)}", style="not bold")
    line.append("\n").append_text(_points(score, words=True))
    return line


def _points(score: Score, *, words: bool = False) -> Text:
    if score.earned == "unscored":
        return Text("no score yet" if words else "no score", style=_STYLES["broken"])
    joint = "of" if words else "/"
    return Text(f"{points(score.earned)} {joint} {points(score.possible)}{' points' if words else ''}", style="bold")


def _outcome(word: Word) -> Text:
    return Text(f"{phrases.SYMBOLS[word]} {word}", style=_STYLES[word])


def _check(check: Check) -> Text:
    """Give the sentence of a check, below it the figure and the hint."""
    cell = Text(phrases.clean(check.sentence) or phrases.clean(check.id))
    hint = phrases.clean(check.hint, phrases.MAX_HINT)
    if check.measurement is not None:
        figure = phrases.measured(check.measurement, check.target)
        cell.append("\n" + " · ".join([figure, *phrases.origin(check.measurement)]), style="dim")
    if hint:
        cell.append(f"\n{hint}", style="italic")
    return cell


def _after(score: Score) -> Iterable[RenderableType]:
    """Give what stands below the table: remarks, cells that raised, repairs."""
    for remark in phrases.remarks(score):
        yield _item(remark)
    for failure in phrases.failures(score.run):
        yield _item(f"Code cell {failure.cell} raised {failure.name}: {failure.message}")
        if failure.source:
            yield Padding(Text(failure.source, style="dim", overflow="fold"), (0, 0, 0, 4))
    if more := phrases.more_failures(score.run):
        yield _item(more)
    for note in phrases.notes(score):
        yield _item(note)


def _item(text: str) -> RenderableType:
    """Give a line of a list; what does not fit hangs below its beginning."""
    table = Table.grid(padding=(0, 1))
    table.add_row(Text("•"), Text(text, overflow="fold"))
    return table


# --- A class ---------------------------------------------------------------------------------------------------------


def _counts(score: Score) -> Text:
    counts = phrases.counts(score)
    return Text(" ").join(Text(f"{phrases.SYMBOLS[word]}{count}", style=_STYLES[word]) for word, count in counts)


def _remark(score: Score) -> str:
    """Give the one thing that an instructor should know about this submission first."""
    late = score.grade.days_late if score.grade else 0
    days = f"{late} day{'s' if late > 1 else ''} late" if late else ""
    told = score.reason or _held(score) or (_about_run(score.run) if score.run else "")
    return phrases.clean(" ".join(part for part in (told, days) if part), 90)


def _held(score: Score) -> str:
    """Give the first check that waits for a person because it cannot be believed, and why."""
    return next((f"{cell.id} waits for a person: {cell.reason}" for cell in score.waiting if cell.reason), "")


def _about_run(run: Run) -> str:
    if run.state != "finished":
        return run.reason
    first = next(iter(run.failures), None)
    return f"Code cell {first.cell} raised {first.name}." if first else ""
