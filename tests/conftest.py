"""How long the fuzz tests run: a moment in `make test`, the same every time; minutes in `make fuzz`, at random."""

from __future__ import annotations

import pytest

import fuzzing


def pytest_addoption(parser):
    parser.addoption("--fuzz-seconds", type=float, default=0, help="Fuzz at random for so long, all tests together.")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Share the time among the fuzz tests; nothing else runs in that mode."""
    seconds = config.getoption("--fuzz-seconds")
    if not seconds:
        return
    drawn = [item for item in items if hasattr(item.function, "fuzzed")]
    config.hook.pytest_deselected(items=[item for item in items if item not in drawn])
    items[:] = drawn
    weights = sum(item.function.fuzzed for item in drawn)
    fuzzing.SECONDS.update({item.name: seconds * item.function.fuzzed / weights for item in drawn})


def pytest_terminal_summary(terminalreporter):
    for name, (tried, failed) in sorted(fuzzing.TRIED.items()):
        terminalreporter.write_line(f"fuzz: {name}: {tried:,} inputs, {failed} kept as new seeds")
