"""Warm starts for a class: what every submission's processes import is imported once, before the first of them.

Three interpreters are kept warm: one becomes the students' kernels, one the programs that open models, one the trusted
pytest processes. Each has imported what trusted files say: the released notebook, our own programs, the checks.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from coursekit import examiner, measure, notebook, sandbox
from coursekit.grading import Plan
from coursekit.tasks import Zygotes
from coursekit.warm import Zygote

_LAZY = {"tensorflow": ("keras",), "sklearn": ("sklearn.utils",)}
"""What these import only when it is asked for, and nearly every notebook does."""


class Warm(NamedTuple):
    """A plan with warm interpreters, and the interpreters."""

    plan: Plan
    zygotes: Mapping[str, Zygote] = {}
    """What their forks become -> each; none where nothing is warm."""

    def notices(self) -> tuple[str, ...]:
        """What does not start warm and why, as sentences for whoever grades; more may be known later."""
        cold = (
            f"{forks} start cold, which is slower and changes no score: {zygote.cold}."
            for forks, zygote in self.zygotes.items()
            if zygote.cold
        )
        missing = {
            f"'{name}' could not be imported ahead of time ({why}), so each submission that needs it does that itself."
            for zygote in self.zygotes.values()
            for name, _, why in (entry.partition(": ") for entry in zygote.missing)
        }
        return (*cold, *sorted(missing))


@contextmanager
def warmed(plan: Plan) -> Iterator[Warm]:
    """The plan with warm interpreters, for as long as the context lasts; in a sandbox without walls, as it is.

    Of a plan that is to run cold only the trusted processes are warm, in which nothing of a student's runs.
    """
    if plan.sandbox == "none":
        yield Warm(plan)
        return
    with ExitStack() as ends:
        checks = ends.enter_context(closing(examiner.warmed(plan.checks, imports(_sources(plan.checks)))))
        zygotes = {"Examinations": checks}
        paths = Zygotes(examinations=checks.path)
        if not plan.cold:
            kernels = ends.enter_context(closing(sandbox.kernels(_preload(plan))))
            zygotes["Notebooks"] = kernels
            paths = msgspec.structs.replace(paths, kernels=kernels.path)
        if plan.assignment.artifact and not plan.cold:  # else no model is opened
            programs = ends.enter_context(closing(sandbox.programs(measure.IMPORTS)))
            zygotes["Programs that open models"] = programs
            paths = msgspec.structs.replace(paths, programs=programs.path)
        yield Warm(msgspec.structs.replace(plan, zygotes=paths), zygotes)


def _preload(plan: Plan) -> Sequence[str]:
    """What every notebook imports: as it is stated, or else what the released ones do."""
    if plan.assignment.preload is not None:
        return plan.assignment.preload
    return imports(cell["source"] for nb in plan.notebooks.values() for cell in notebook.code_cells(nb))


def imports(sources: Iterable[str]) -> list[str]:
    """The installed modules that these sources import, each once, in order; what cannot be parsed imports nothing."""
    found: dict[str, None] = {}
    for source in sources:
        lines = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
        try:
            tree = ast.parse(lines)
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= dict.fromkeys(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found[node.module] = None
    named = [name for name in found if _installed(name.partition(".")[0])]
    return [*named, *(lazy for name in named for lazy in _LAZY.get(name, ()))]


def _installed(name: str) -> bool:
    if name in sys.stdlib_module_names or name == "coursekit":
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _sources(checks: Iterable[str]) -> Iterator[str]:
    """The check files of an assignment, which are trusted."""
    for path in map(Path, checks):
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.suffix == ".py" else []
        for file in files:
            yield file.read_text(encoding="utf-8", errors="replace")
