"""What a check holds in its hands: the student's functions, their model, their notebook.

Everything here turns a student's mistake into a sentence for the student. A check that fails because of the work
raises `Wrong`; one that cannot be asked because something it needs failed raises `Blocked`; what else is raised is a
broken check.
"""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from coursekit import measure as measuring
from coursekit import notebook, profiles, scoring, wire
from coursekit.errors import GraderError, StudentError, TimingError
from coursekit.examination.answers import Conversation
from coursekit.examination.attempt import Attempt
from coursekit.figures import figure
from coursekit.measure.ratios import ratio
from coursekit.profiles import Profile
from coursekit.records import Artifact, Collected, Measurement, RunInside, Target

if TYPE_CHECKING:
    import numpy as np

    from coursekit.sandbox.kernel import Answer

PUBLIC_SEED = "public"
_LONGEST = 300


class Wrong(AssertionError):
    """The work is not right, and this sentence says how."""


class Blocked(Exception):
    """Something that the check needs failed before; this sentence says what."""


def generator(seed: str, purpose: str) -> np.random.Generator:
    """Random numbers for one purpose: the same for every student and every order of checks."""
    import numpy as np  # noqa: PLC0415 - the command line must not pay for it

    return np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed}:{purpose}".encode()).digest()))


class Kernel:
    """The functions that the notebook defined, as one check may call them.

    In a hidden check nothing that a function said comes back to the student: an exception's message, a returned text or
    a shape could carry the hidden input that the function was called with.
    """

    def __init__(self, attempt: Attempt, check: str, *, hidden: bool) -> None:
        self._attempt = attempt
        self._conversation = Conversation(attempt, check)
        self._hidden = hidden
        self.told: set[str] = set()
        """Every text that functions were called with."""
        if attempt.executed is None:
            raise Blocked(f"The notebook could not be run. {attempt.run.reason}".strip())

    def call(self, name: str, *arguments: Any, returns: Any = ..., seconds: float | None = None) -> Any:
        """What the student's function `name` returns for these arguments.

        Arguments and the returned value are numbers, text, lists, dicts and arrays of numbers (`wire`). `returns` says
        what the value must be, as `wire.match` reads it; a tuple comes back as a tuple. Raises Wrong if the function
        is missing, raises, takes longer than `seconds` or returns something else.
        """
        self.told.update(_texts(arguments))
        answer = self._conversation.ask(name, arguments, seconds)
        if answer.stopped:
            self._explain_stop(name, answer.stopped)
        if answer.missing:
            self._explain_missing(name, answer.message)
        if answer.raised:
            raise Wrong(_cut(self._raised(name, answer)))
        if answer.unsendable:
            told = "" if self._hidden else f" It returned something else: {answer.unsendable}."
            raise Wrong(_cut(f"{name}() must return numbers, lists or arrays.{told}"))
        try:
            value = wire.decode(answer.value.encode())
            if returns is not ...:
                wire.match(value, returns)
        except wire.Unsendable as error:
            raise Wrong(_cut(f"{name}() returned something that cannot be read: {error}.")) from None
        except wire.Mismatch as error:
            told = f"{name}() must return {expected(returns)}" if self._hidden else f"{name}() returned {error}"
            raise Wrong(_cut(f"{told}.")) from None
        return value if returns is ... else wire.scalars(value, returns)

    def _raised(self, name: str, answer: Answer) -> str:
        if not self._hidden:
            return f"{name}() raised {answer.raised}{': ' if answer.message else '.'}{answer.message}"
        known = isinstance(getattr(builtins, answer.raised, None), type)
        return f"{name}() raised {answer.raised if known else 'an exception'} for an input of this check."

    def _explain_stop(self, name: str, reason: str) -> None:
        if self._attempt.run.state == "stopped":
            raise Blocked(self._attempt.run.reason)
        raise Wrong(_cut(f"{name}() was stopped: {reason}."))

    def _explain_missing(self, name: str, kind: str) -> None:
        if kind:
            told = "" if self._hidden else f"; it is a {kind}"
            raise Wrong(_cut(f"{name} must be a function{told}."))
        failures = self._attempt.run.failures
        if failures:
            first = failures[0]
            said = f": {first.message}" if first.message else ""
            raise Blocked(_cut(f"{name}() is not there: code cell {first.cell} raised {first.name}{said}"))
        raise Wrong(f"The notebook does not define {name}().")


class Submission:
    """The notebook as it was run."""

    def __init__(self, nb: dict[str, Any]) -> None:
        self.notebook = nb

    def source(self, grade_id: str) -> str:
        """The source of the cell with this grade id. Raises GraderError if the release has no such cell."""
        return notebook.source_of(self.notebook, grade_id)

    @property
    def code(self) -> str:
        """All code cells, one after the other."""
        return notebook.all_code(self.notebook)


class Bench:
    """Measures models, each figure once."""

    def __init__(self, inside: RunInside, folders: tuple[Path, ...]) -> None:
        self.predictions = 0
        """How often a model was fed."""
        self._inside, self._folders = measuring.once(inside), folders
        self._known: dict[tuple[str, str, str], Measurement] = {}
        self._compared: dict[tuple[str, str, str], Measurement | TimingError | None] = {}

    def profile(self, name: str) -> Profile:
        """The profile of this name. Raises SpecError with a near match."""
        return profiles.load(name, self._folders)

    def measure(self, data: bytes, profile: str | None = None) -> dict[str, Measurement]:
        """Every figure that the engines have for these bytes, by metric."""
        board = self.profile(profile) if profile else None
        return {each.metric: each for each in measuring.measure(data, board, self._inside)}

    def figure(self, data: bytes, metric: str, profile: str | None) -> Measurement:
        """One figure. Raises GraderError if no engine has it, UnreadableWork if the model has none."""
        key = (hashlib.sha256(data).hexdigest(), metric, profile or "")
        if key not in self._known:
            board = self.profile(profile) if profile else None
            for each in measuring.measure(data, board, self._inside, [metric]):
                self._known[(key[0], each.metric, key[2])] = each
        if key not in self._known:
            raise GraderError(f"no engine gives the metric '{metric}'{' on ' + profile if profile else ''}.")
        return self._known[key]

    def compare(self, data: bytes, reference: bytes, profile: str) -> Measurement | None:
        """The first model's time by the second's as timed on the profile's machine; None where nothing is timed.

        Timed once: another try might come out otherwise. Raises TimingError, again each time, if the machine could not.
        """
        key = (hashlib.sha256(data).hexdigest(), hashlib.sha256(reference).hexdigest(), profile)
        if key not in self._compared:
            try:
                self._compared[key] = measuring.compare(data, reference, self.profile(profile), self._inside)
            except TimingError as error:
                self._compared[key] = error
        found = self._compared[key]
        if isinstance(found, TimingError):
            raise found
        return found

    def predict(self, data: bytes, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The model's outputs for these inputs, as float32; labels stay here."""
        self.predictions += 1
        return measuring.predict(data, x, self._inside)


class Model:
    """A collected artifact: its bytes, and what can be measured on them."""

    def __init__(self, attempt: Attempt, declared: Artifact | None, collected: Collected | None, bench: Bench) -> None:
        if declared is None or collected is None:
            raise GraderError("a check asks for a model, but assignment.yaml declares none.")
        if collected.problem:
            raise Blocked(collected.problem)
        self.data = attempt.artifacts[declared.path]
        self.path = declared.path
        self._bench = bench
        self._secretive = bool(attempt.task.hidden_from) and declared.made_by == "notebook"

    def measure(self, metric: str, profile: str | None = None) -> Measurement:
        """One figure of the model; a model that has none is the student's failed check."""
        try:
            return self._bench.figure(self.data, metric, profile)
        except StudentError as error:
            raise self._wrong(error) from None

    def against(self, baseline: Model, profile: str) -> Measurement | None:
        """The model's time by the baseline's where models are timed; a model that cannot be run is a failed check."""
        try:
            return self._bench.compare(self.data, baseline.data, profile)
        except StudentError as error:
            raise self._wrong(error) from None

    def predict(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The outputs for inputs of shape (n, ...), as float32 of shape (n, classes)."""
        try:
            return self._bench.predict(self.data, x)
        except StudentError as error:
            raise self._wrong(error) from None

    def _wrong(self, error: StudentError) -> Wrong:
        """What is wrong with the model; not in the words of one that was made after hidden tests were seen."""
        return Wrong("It cannot be measured; coursekit measure says why." if self._secretive else str(error))

    def accuracy(self, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> float:
        """The share of inputs whose largest output is the label's."""
        from coursekit.measure.accuracy import right  # noqa: PLC0415 - the command line must not pay for numpy

        outputs = self.predict(x)
        if outputs.ndim != 2 or len(outputs) != len(y):  # their shape may tell of the inputs, which are hidden
            raise Wrong("The model does not give one row of classes for each input.")
        return right(outputs, y) / len(y)


class Targets:
    """Computes a target's figure: from an engine, or from the models and data that the target names."""

    def __init__(self, attempt: Attempt, bench: Bench, data: Mapping[str, Any]) -> None:
        self._attempt, self._bench, self._data = attempt, bench, data
        self._accuracies: dict[tuple[str, str], float] = {}

    def model(self) -> Model:
        """The artifact. Raises Blocked if there is none."""
        return Model(self._attempt, self._attempt.task.assignment.artifact, self._attempt.run.artifact, self._bench)

    def baseline(self) -> Model:
        """The baseline. Raises Blocked if there is none."""
        return Model(self._attempt, self._attempt.task.assignment.baseline, self._attempt.run.baseline, self._bench)

    def figure(self, target: Target) -> Measurement:
        """The target's figure. Raises Wrong, Blocked or GraderError."""
        computed = {
            "accuracy": self._accuracy,
            "accuracy_drop_points": self._accuracy_drop,
            "file_ratio": self._file_ratio,
            "latency_ratio": self._latency_ratio,
        }
        if target.metric in computed:
            return computed[target.metric](target)
        return self.model().measure(target.metric, target.profile)

    def _accuracy_on(self, model: Model, target: Target) -> float:
        key = (model.path, str(target.data))
        if key not in self._accuracies:
            if target.data is None or target.data not in self._data:
                raise GraderError(f"target '{target.id}' needs {target.data} data, and there is none.")
            self._accuracies[key] = model.accuracy(*self._data[target.data]())
        return self._accuracies[key]

    def _accuracy(self, target: Target) -> Measurement:
        value = round(self._accuracy_on(self.model(), target), 6)
        return Measurement(metric="accuracy", value=value, unit="", engine="litert")

    def _accuracy_drop(self, target: Target) -> Measurement:
        from coursekit.measure.accuracy import drop  # noqa: PLC0415 - the command line must not pay for numpy

        before = self._accuracy_on(self.baseline(), target)
        return drop(self._accuracy_on(self.model(), target), before, self.baseline().path)

    def _file_ratio(self, _: Target) -> Measurement:
        value = round(len(self.model().data) / len(self.baseline().data), 6)
        return Measurement(metric="file_ratio", value=value, unit="", engine="flatbuffer")

    def _latency_ratio(self, target: Target) -> Measurement:
        """Both models on one profile, timed if it is a machine that is there and the figure is sure enough to grade."""
        timed, why = self._timed_ratio(target)
        return timed or self._counted_ratio(target, why)

    def _timed_ratio(self, target: Target) -> tuple[Measurement | None, str]:
        """The timed ratio if it decides the target; else nothing, and the sentence that says why, if it was tried."""
        model, baseline = self.model(), self.baseline()
        if not target.profile or "latency_ratio" not in self._bench.profile(target.profile).engines:
            return None, ""
        try:
            with self._attempt.held():
                timed = model.against(baseline, target.profile)
        except TimingError as error:
            return None, f"Not timed: {error.what.rstrip('.')}; the figure without a clock stands."
        if timed is None or timed.interval is None:
            return None, ""
        if scoring.clears(timed.interval, target):
            return msgspec.structs.replace(timed, note=f"against '{baseline.path}'; {timed.note}"), ""
        sure = f"{figure(timed.interval[0])} to {figure(timed.interval[1])} with 95 % confidence"
        return None, (
            f"Timed here at {figure(float(timed.value))} ({sure}), too noisy to decide;"
            " the figure without a clock stands."
        )

    def _counted_ratio(self, target: Target, why: str) -> Measurement:
        """The ratio without a clock, of two figures on one profile."""
        after = self.model().measure("latency_ms", target.profile)
        found = ratio(after, self.baseline().measure("latency_ms", target.profile), self.baseline().path)
        if found.value == measuring.UNKNOWN:
            raise GraderError(found.note)
        return msgspec.structs.replace(found, note=f"{found.note.rstrip('.')}. {why}") if why else found


def expected(spec: Any) -> str:
    """What a check asks a function to return, in words."""
    names = {float: "a number", int: "a whole number", bool: "True or False", str: "text", None: "None"}
    if isinstance(spec, wire.Array):
        shape = f" of shape {wire.shape_words(spec.shape)}" if spec.shape is not None else ""
        finite = " without NaN or infinity" if spec.finite else ""
        return f"an array of {spec.dtype or 'numbers'}{shape}{finite}"
    if isinstance(spec, tuple):
        return f"{len(spec)} values: {', '.join(map(expected, spec))}"
    if isinstance(spec, list):
        return f"a list, each item {expected(spec[0])}"
    if isinstance(spec, dict):
        return "a dict with " + ", ".join(f"'{key}': {expected(kind)}" for key, kind in spec.items())
    return names.get(spec, "another value")


def _texts(value: Any) -> Iterator[str]:
    """Every text in what a function is called with."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from (key, *_texts(item))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
