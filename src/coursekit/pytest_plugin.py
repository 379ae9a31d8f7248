"""The trusted pytest process: it runs one submission in a box and asks it every check.

Without `--coursekit-task` this plugin only explains the `points` marker, so that it never disturbs other test suites.
With it, one submission is run when the session starts; tests with `@pytest.mark.points` and the targets of
`assignment.yaml` are the checks; `examination.json` in the task's folder holds what became of each. The submission is
never on this process's path.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import numpy as np

    from coursekit.examination.asking import Bench, Kernel, Model, Submission
    from coursekit.profiles import Profile
    from coursekit.records import Check, Measurement, Target

_LONGEST_HINT = 1000


def pytest_addoption(parser: pytest.Parser) -> None:
    """Two options of ours; only coursekit itself gives them."""
    group = parser.getgroup("coursekit")
    group.addoption("--coursekit-task", metavar="FILE", help="Examine the submission that this task file names.")
    group.addoption("--coursekit-list", metavar="FILE", help="Write down the ids and points of the checks.")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the examiner if there is a task."""
    config.addinivalue_line("markers", "points(points, id): a check of coursekit, and what it is worth")
    if config.getoption("--coursekit-task"):
        from coursekit.examination import sitting  # noqa: PLC0415 - other test suites must not pay for it

        sitting.alone()
        config.pluginmanager.register(Examiner(Path(config.getoption("--coursekit-task"))), "coursekit-examiner")
    if config.getoption("--coursekit-list"):
        config.pluginmanager.register(Lister(Path(config.getoption("--coursekit-list"))), "coursekit-lister")


class Lister:
    """Writes down which checks there are, without running anything."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._checks: list[tuple[str, float]] = []
        self._broken = ""

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep why a check file cannot be read."""
        if report.failed:
            self._broken = self._broken or f"{report.nodeid} cannot be read: {_last_line(report)}"

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep each check's id and points."""
        for item in items:
            marked = _marked(item)
            if marked is None:
                self._broken = self._broken or f"{item.nodeid} has no @pytest.mark.points(points, id=...)."
            else:
                self._checks.append(marked)

    def pytest_sessionfinish(self) -> None:
        """Write it down."""
        self._file.write_text(json.dumps({"broken": self._broken, "checks": self._checks}))


class Examiner:
    """One submission's examination, as a pytest plugin with the fixtures that checks use."""

    def __init__(self, task_file: Path) -> None:
        from coursekit import sandbox  # noqa: PLC0415 - other test suites must not pay for these
        from coursekit.examination import asking  # noqa: PLC0415
        from coursekit.examination.attempt import engine_limits  # noqa: PLC0415
        from coursekit.examination.sitting import Sitting  # noqa: PLC0415

        self._sitting = Sitting(task_file)
        self.task, self._attempt = self._sitting.task, self._sitting.attempt
        limits = engine_limits(self.task.assignment.limits)
        inside = sandbox.runner(self.task.sandbox, limits, zygote=self.task.zygotes.programs)
        self._bench = asking.Bench(inside, tuple(map(Path, self.task.profiles)))
        data = {name: _once(partial(self._data, name)) for name in self._data_files()}
        self.targets = asking.Targets(self._attempt, self._bench, data)
        self._kernels: dict[str, Kernel] = {}
        self._fed = 0
        """How often models had been fed before this check."""

    # --- data -------------------------------------------------------------------------------------------------------

    def _data_files(self) -> dict[str, Path]:
        public = [Path(path) / "public.py" for path in self.task.checks if path != self.task.hidden]
        hidden = [Path(self.task.hidden) / "hidden.py"] if self.task.hidden else []
        named = [*(("public", path) for path in public), *(("hidden", path) for path in hidden)]
        return {name: path for name, path in named if path.is_file()}

    def _data(self, name: str) -> Any:
        """Inputs and labels from `hidden.py` or `public.py`, drawn with the seed that belongs to them."""
        from coursekit.examination.asking import PUBLIC_SEED, generator  # noqa: PLC0415

        path = self._data_files()[name]
        spec = importlib.util.spec_from_file_location(f"coursekit_{name}_data", path)
        assert spec is not None  # noqa: S101 - for the type checker: the path ends in .py
        assert spec.loader is not None  # noqa: S101 - likewise
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.data(generator(self.task.seed if name == "hidden" else PUBLIC_SEED, "data"))

    # --- the session --------------------------------------------------------------------------------------------------

    def pytest_sessionstart(self) -> None:
        """Run the submission, before any check is even read."""
        self._sitting.begin()

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """A check that ends the session takes the checks after it away."""
        self._sitting.breaks(f"a check ended all others ({excinfo.typename}).")

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """So does what breaks outside of any check; the log has the rest."""
        self._sitting.breaks(f"asking the checks broke ({excinfo.typename}).")

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """The targets are checks too: `assignment.yaml::size`."""
        if file_path.name != "assignment.yaml":
            return None
        file = TargetFile.from_parent(parent, path=file_path)
        file.examiner = self
        return file

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Refuse checks that cannot be told apart or carry no points, and drop all if the machine has failed."""
        seen: set[str] = set()
        for item in items:
            name = self._check_id(item)
            if name is None:
                self._sitting.breaks(f"{item.nodeid} has no @pytest.mark.points(points, id=...).")
            elif name in seen:
                self._sitting.breaks(f"two checks are called '{name}'.")
            else:
                seen.add(name)
        if self._sitting.broken:
            items.clear()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A check file that cannot be read is our fault, not the student's."""
        if report.failed:
            self._sitting.breaks(f"{report.nodeid} cannot be read: {_last_line(report)}")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        """Turn what happened into an outcome: the first phase that says anything decides, and broken beats all."""
        yield
        name = self._check_id(item)
        if name is None:
            return
        done = self._sitting.checks.get(name)
        if call.when == "setup":
            self._fed = self._bench.predictions
        if call.excinfo is not None and (done is None or done.outcome == "passed"):
            self._sitting.checks[name] = self._not_passed(item, name, call)
        elif done is None and call.when == "call":
            self._sitting.checks[name] = self._check(item, name, "passed", "")

    def pytest_sessionfinish(self) -> None:
        """End the box and write down what became of it all."""
        from coursekit.examination.sitting import Unwritten  # noqa: PLC0415 - other test suites must not pay for it

        try:
            self._sitting.end()
        except Unwritten as error:  # the exit status is all that is left to say it with
            pytest.exit(str(error), returncode=os.EX_IOERR)

    # --- outcomes -----------------------------------------------------------------------------------------------------

    def _check_id(self, item: pytest.Item) -> str | None:
        if isinstance(item, TargetItem):
            return item.target.id
        marked = _marked(item)
        return marked[0] if marked else None

    def _is_hidden(self, item: pytest.Item) -> bool:
        return bool(self.task.hidden) and item.path.is_relative_to(self.task.hidden)

    def _check(self, item: pytest.Item, name: str, outcome: Any, hint: str) -> Check:
        from coursekit import scoring  # noqa: PLC0415 - other test suites must not pay for it
        from coursekit.records import Check  # noqa: PLC0415

        if isinstance(item, TargetItem):
            if item.result is not None:
                return item.result
            points, sentence = item.target.points, scoring.sentence(item.target)
            hint, hidden, target = hint or item.target.hint, item.target.data == "hidden", item.target
        else:
            points, sentence = (_marked(item) or ("", 0.0))[1], _sentence(item)
            hidden, target = self._is_hidden(item), None
        earned = {"passed": points, "broken": "unscored"}.get(outcome, 0.0)
        return Check(
            id=name,
            sentence=sentence,
            outcome=outcome,
            points=points,
            earned=earned,  # type: ignore[arg-type]
            hint=hint[:_LONGEST_HINT],
            hidden=hidden,
            target=target,
        )

    def _not_passed(self, item: pytest.Item, name: str, call: pytest.CallInfo[None]) -> Check:
        from coursekit.errors import CoursekitError, MachineError, StudentError  # noqa: PLC0415
        from coursekit.examination.asking import Blocked  # noqa: PLC0415 - other test suites must not pay for it

        assert call.excinfo is not None  # noqa: S101 - for the type checker: the caller looked
        error = call.excinfo.value
        if isinstance(error, Blocked):
            return self._check(item, name, "blocked", str(error))
        if isinstance(error, AssertionError | StudentError) and call.when == "call":
            return self._check(item, name, "failed", self._hint(item, call.excinfo))
        self._sitting.machine = self._sitting.machine or isinstance(error, MachineError)
        kind = f"{type(error).__name__}: {error}"
        what = f"{error} {error.fix}".strip() if isinstance(error, MachineError) else kind
        if self._is_hidden(item) and not isinstance(error, CoursekitError):  # the log has the rest
            at = call.excinfo.traceback[-1]
            what = f"{type(error).__name__} in {Path(at.path).name}, line {at.lineno + 1}"
        return self._check(item, name, "broken", f"This check could not do its work ({what}).")

    def _hint(self, item: pytest.Item, raised: pytest.ExceptionInfo[BaseException]) -> str:
        """What the author or we have to say; what a library such as numpy.testing says in a hidden check is values.

        Values that the author's message fills in are left out too where the student's code was asked: what it returned
        may be what it was told. The author's own words stay, but for those that were told.
        """
        from coursekit import assertions  # noqa: PLC0415 - other test suites must not pay for it
        from coursekit.errors import StudentError  # noqa: PLC0415 - other test suites must not pay for it
        from coursekit.examination.asking import Wrong  # noqa: PLC0415

        said, file = str(raised.value), Path(raised.traceback[-1].path)
        ours = isinstance(raised.value, StudentError | Wrong) or isinstance(item, TargetItem)
        if ours or not (self._is_hidden(item) or self.task.hidden_from):
            return said
        if not any(file.is_relative_to(path) for path in self.task.checks):
            return ""
        kernel = self._kernels.get(item.nodeid)
        told = kernel.told if kernel else set()
        if not kernel and self._bench.predictions == self._fed:
            return said  # nothing of this check's was in reach of the student's code
        source = file.read_text(encoding="utf-8")
        known = {text for text in assertions.literals(source) if not any(text in each or each in text for each in told)}
        return assertions.as_written(source, " ".join(said.split()), known)

    # --- fixtures -----------------------------------------------------------------------------------------------------

    @pytest.fixture
    def kernel(self, request: pytest.FixtureRequest) -> Kernel:
        """The functions that the notebook defined."""
        from coursekit.examination.asking import Kernel  # noqa: PLC0415 - other test suites must not pay for it

        check = self._check_id(request.node) or request.node.nodeid
        hidden = self._is_hidden(request.node) or bool(self.task.hidden_from)
        kernel = self._kernels[request.node.nodeid] = Kernel(self._attempt, check, hidden=hidden)
        return kernel

    @pytest.fixture(scope="session")
    def submission(self) -> Submission:
        """The notebook as it was run."""
        from coursekit.examination.asking import Blocked, Submission  # noqa: PLC0415 - other test suites must not pay for it

        if not self.task.notebook:
            raise Blocked(self.task.refusal)
        return Submission(json.loads(Path(self.task.notebook).read_bytes()))

    @pytest.fixture(scope="session")
    def model(self) -> Model:
        """The artifact that the notebook made."""
        return self.targets.model()

    @pytest.fixture(scope="session")
    def baseline(self) -> Model:
        """The student's own unoptimised model."""
        return self.targets.baseline()

    @pytest.fixture(scope="session")
    def measure(self) -> Callable[..., dict[str, Measurement]]:
        """Every figure for some bytes: `measure(data, profile="nano33-ble-sense")["arena_bytes"].value`."""
        bench: Bench = self._bench
        return bench.measure

    @pytest.fixture(scope="session")
    def profile(self) -> Callable[[str], Profile]:
        """A reference board by name."""
        bench: Bench = self._bench
        return bench.profile

    @pytest.fixture
    def rng(self, request: pytest.FixtureRequest) -> np.random.Generator:
        """Random numbers of this check alone, from the secret seed for hidden checks."""
        from coursekit.examination.asking import PUBLIC_SEED, generator  # noqa: PLC0415 - other test suites must not pay for it

        seed = self.task.seed if self._is_hidden(request.node) else PUBLIC_SEED
        return generator(seed, self._check_id(request.node) or "")


class TargetFile(pytest.File):
    """`assignment.yaml`, whose targets are items."""

    examiner: Examiner

    def collect(self) -> Iterator[pytest.Item]:
        """One item per target that can be asked here."""
        for target in self.examiner.task.assignment.targets:
            if target.data != "hidden" or self.examiner.task.hidden:
                item = TargetItem.from_parent(self, name=target.id)
                item.target, item.examiner = target, self.examiner
                yield item


class TargetItem(pytest.Item):
    """One target: measure, compare with the band, keep the check."""

    target: Target
    examiner: Examiner
    result: Check | None = None

    def runtest(self) -> None:
        """Measure and judge; pytest is told of a failure as an assertion is."""
        from coursekit import scoring  # noqa: PLC0415 - other test suites must not pay for it

        figure = self.examiner.targets.figure(self.target)
        self.result = scoring.judge(self.target, figure, hidden=self.target.data == "hidden")
        assert self.result.outcome == "passed", self.result.hint  # noqa: S101 - this is a check

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where pytest says the item is."""
        return self.path, None, f"target {self.name}"


def _marked(item: pytest.Item) -> tuple[str, float] | None:
    """A check's id and points, as its marker says."""
    marker = item.get_closest_marker("points")
    if marker is None or not marker.args or not isinstance(marker.kwargs.get("id"), str):
        return None
    return marker.kwargs["id"], float(marker.args[0])


def _sentence(item: pytest.Item) -> str:
    """The first paragraph of the check's docstring, on one line."""
    text = inspect.getdoc(getattr(item, "function", None)) or item.name
    return " ".join(text.split("\n\n")[0].split())


def _last_line(report: pytest.CollectReport) -> str:
    lines = [line for line in report.longreprtext.splitlines() if line.strip()]
    return lines[-1].removeprefix("E").strip() if lines else "no reason given"


def _once(make: Callable[[], Any]) -> Callable[[], Any]:
    """The same value however often it is asked for."""
    made: list[Any] = []

    def give() -> Any:
        if not made:
            made.append(make())
        return made[0]

    return give
