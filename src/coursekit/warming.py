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
from typing import Any, NamedTuple

import msgspec

from coursekit import course, examiner, measure, notebook, sandbox, shelf
from coursekit.errors import CoursekitError
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


class Ahead(NamedTuple):
    """Kernels that are warming, by a guess at what they have to import; empty where there was nothing to go by."""

    preload: tuple[str, ...] = ()
    kernels: Zygote | None = None


NOTHING = Ahead()


@contextmanager
def ahead(root: Path, name: str, *, wanted: bool, force: bool = False) -> Iterator[Ahead]:
    """Kernels that import while the plan is still being made, which takes a second where an import takes two.

    They begin where they are `wanted` and somebody's submission was never graded, or `force` is given. What they
    import is read from the release in its usual place; `warmed` takes them if the plan asks for the same.
    """
    preload = _likely(root, name) if wanted and (force or _anyone_is_new(root, name)) else None
    if preload is None:
        yield NOTHING
        return
    with closing(sandbox.kernels(preload)) as kernels:
        yield Ahead(preload, kernels)


def _likely(root: Path, name: str) -> tuple[str, ...] | None:
    """What kernels will have to import; None if that cannot be told yet, and why the plan will say."""
    try:
        course.need_name(name)
        ours = (root / "assignments" / name / "assignment.yaml").is_file()
        stated = course.assignment(root, name).preload if ours else None
        files = sorted((root / "release" / name).glob("*.ipynb"))
        notebooks = [notebook.parse(file.read_bytes(), file.name) for file in files]
    except (CoursekitError, OSError):
        return None
    return _preload(stated, notebooks) if notebooks else None


def _anyone_is_new(root: Path, name: str) -> bool:
    """Whether somebody handed in who was never graded."""
    kept, submitted = root / shelf.FOLDER / name, root / "submitted"
    try:
        known = {folder.name for folder in kept.iterdir()} if kept.is_dir() else set()
        return any((folder / name).is_dir() for folder in submitted.iterdir() if folder.name not in known)
    except OSError:
        return False


@contextmanager
def warmed(plan: Plan, begun: Ahead = NOTHING) -> Iterator[Warm]:
    """The plan with warm interpreters, for as long as the context lasts; in a sandbox without walls, as it is.

    Of a plan that is to run cold only the trusted processes are warm, in which nothing of a student's runs.
    `begun` is closed by whoever began it.
    """
    if plan.sandbox == "none":
        yield Warm(plan)
        return
    with ExitStack() as ends:
        checks = ends.enter_context(closing(examiner.warmed(plan.checks, imports(_sources(plan.checks)))))
        zygotes = {"Examinations": checks}
        paths = Zygotes(examinations=checks.path)
        if not plan.cold:
            preload = _preload(plan.assignment.preload, [plan.notebooks[stem] for stem in sorted(plan.notebooks)])
            if begun.kernels is None or begun.preload != preload:
                kernels = ends.enter_context(closing(sandbox.kernels(preload)))
            else:
                kernels = begun.kernels
            zygotes["Notebooks"] = kernels
            paths = msgspec.structs.replace(paths, kernels=kernels.path)
        if plan.assignment.artifact and not plan.cold:  # else no model is opened
            programs = ends.enter_context(closing(sandbox.programs(measure.IMPORTS)))
            zygotes["Programs that open models"] = programs
            paths = msgspec.structs.replace(paths, programs=programs.path)
        yield Warm(msgspec.structs.replace(plan, zygotes=paths), zygotes)


def _preload(stated: Sequence[str] | None, notebooks: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """What every notebook imports: as it is stated, or else what the released ones do."""
    if stated is not None:
        return tuple(stated)
    return tuple(imports(cell["source"] for nb in notebooks for cell in notebook.code_cells(dict(nb))))


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
