"""The engine `host`: two models timed against each other on the machine that grades, as a ratio with an interval.

Source: LiteRT with XNNPACK and one thread, as applications have it, timed in a sandbox without student code
(`inside/pair.py`); what the times mean is worked out here (`coursekit.pairs`). Each pair of runs has a fresh process on
one processor and counts its CPU time. First the reference is timed against a copy of itself: where that does not come
out at 1 the machine is too noisy, and nothing is timed. Pairs are doubled, at most twice, until both ratios are known
to within the profile's spread.

It knows no absolute time, and nothing of what another processor would take. The call from Python into LiteRT, about a
microsecond, is in both times, so that models of a few microseconds seem more alike than they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from coursekit.errors import SpecError, TimingError
from coursekit.measure.asking import ask, clean, decode
from coursekit.measure.documents import REFERENCE_FILE, Pair
from coursekit.pairs import Ratio, log_ratio, quiet, ratio
from coursekit.profiles import Profile, Timing
from coursekit.records import Finished, Measurement, RunInside

_READER = "LiteRT"
_SAMPLES = 4
"""In one pair."""

_LEAST_SAMPLE_NS = 10_000_000
"""A shorter sample would hold as much of the clock as of the model."""

_DOUBLINGS = 2
MOST_SECONDS = 120.0
"""What one comparison may take in all. A submission has that to spare, and a class would wait too long for more."""


class Host:
    """Gives `latency_ratio` on a profile with a section `timing`; no figure of one model alone."""

    name = "host"
    metrics: tuple[str, ...] = ()

    def measure(
        self,
        model: bytes,  # noqa: ARG002 - one model alone is not timed
        profile: Profile | None,  # noqa: ARG002 - likewise
        inside: RunInside,  # noqa: ARG002 - likewise
    ) -> tuple[Measurement, ...]:
        """Give nothing: what one model takes here says little about any other machine."""
        return ()

    def compare(self, model: bytes, reference: bytes, profile: Profile, inside: RunInside) -> Measurement:
        """Give the model's CPU time by the reference's, with its 95 % interval.

        Raises `TimingError` if the machine is too noisy or too slow, `UnreadableWork` if a model cannot be run.
        """
        if profile.timing is None:
            raise SpecError(f"profile '{profile.name}' has no section 'timing', so nothing is timed there.")
        found, same = _timed(model, reference, profile.timing, inside)
        apart = _of_models(found)
        load = max(each.load_percent for each in found) / 100
        itself = f"the reference against itself {same.value:.3f} ({same.low:.3f} to {same.high:.3f})"
        how = f"{len(found)} pairs, CPU time of one pinned thread, {clean(found[0].cpu, 48)}, load up to {load:.1f}"
        return Measurement(
            metric="latency_ratio",
            value=apart.value,
            unit="",
            engine=self.name,
            profile=profile.name,
            status="measured",
            note=f"{how}; {itself}.",
            interval=(apart.low, apart.high),
        )


class _Watched:
    """A way into the box that adds up how long it took, by the clock outside."""

    def __init__(self, inside: RunInside) -> None:
        self._inside = inside
        self.seconds = 0.0

    def __call__(self, arguments: Sequence[str], files: Mapping[str, bytes]) -> Finished:
        finished = self._inside(arguments, files)
        self.seconds += finished.wall_seconds
        return finished


def _timed(model: bytes, reference: bytes, timing: Timing, inside: RunInside) -> tuple[list[Pair], Ratio]:
    """Give the pairs, and the reference against itself; `TimingError` if that says that the machine is too noisy."""
    watched = _Watched(inside)
    least = max(_LEAST_SAMPLE_NS, round(timing.seconds * 1e9) // (_SAMPLES * timing.repeats))
    found: list[Pair] = []
    for doubled in range(_DOUBLINGS + 1):
        wanted = timing.repeats << doubled
        while len(found) < wanted:
            if watched.seconds * wanted > MOST_SECONDS * len(found):
                break
            words = [str(len(found)), str(least)]
            printed = ask(watched, "host", _READER, model, *words, files={REFERENCE_FILE: reference})
            found.append(decode(printed, Pair, _READER))
        if len(found) < timing.repeats:
            each = watched.seconds / len(found)
            raise TimingError(
                f"a pair of runs takes {each:.1f} s here, and {timing.repeats} of them would take more than"
                f" {MOST_SECONDS:.0f} s."
            )
        same = _of_itself(found)
        if len(found) < wanted or (quiet(same, timing.spread) and _of_models(found).width <= timing.spread):
            break
    if not quiet(same, timing.spread):
        raise TimingError(
            f"this machine is too noisy to time models: over {len(found)} pairs the reference against itself came out"
            f" at {same.low:.3f} to {same.high:.3f}.",
            fix="let less run beside it.",
        )
    return found, same


def _of_models(found: Sequence[Pair]) -> Ratio:
    return ratio([log_ratio(each.models, each.model_loops, each.reference_loops) for each in found])


def _of_itself(found: Sequence[Pair]) -> Ratio:
    return ratio([log_ratio(each.same, each.reference_loops, each.reference_loops) for each in found])
