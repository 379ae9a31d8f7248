"""A cell that is watched gives what it gives alone, and leaves the notebook as it would have been."""

import contextlib

import pytest

from coursekit import canaries
from coursekit.examination.watching import watched
from coursekit.records import Limits
from coursekit.sandbox.kernel import Kernel

pytestmark = pytest.mark.box

SETUP = "import numpy as np\ndef squares(n):\n    return [i * i for i in range(1, n + 1)]"


@contextlib.contextmanager
def running(limits):
    made = Kernel("bwrap", limits, {})
    try:
        made.run_cell(SETUP, 60)
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def kernel():
    with running(Limits()) as made:
        yield made


def watch(kernel, source):
    used, known = canaries.tools(source, [SETUP]), canaries.phrases(source)
    found = watched(kernel, source, used, known, lambda code, expression: kernel.run_cell(code, 2, expression))
    assert not found.late
    return found.result, found.doubt


def value(kernel, expression):
    return kernel.run_cell("", 10, expression).said


@pytest.mark.parametrize(
    "source",
    [
        "assert squares(2) == [1, 4]",
        "assert squares(2) == [1, 4]\nassert squares(2) == [1, 5], 'No.'",
        "assert squares(2) == [1, 5]\n\n\n# the end",
        "for n in (1, 2):\n    assert squares(n) == [1]",
        "def check():\n    assert squares(1) == []\ncheck()",
        "np.testing.assert_allclose(squares(2), [1, 5])",
        "print('one'); print('two')",
        "2.5",
        "found = squares(3)",
        "%time assert squares(1) == []",
        "assert await squares(1)",
        "import sys\nsys.exit(1)",
        "assert (",
        "return 3",
        "raise KeyboardInterrupt",
    ],
)
def test_the_outputs_are_those_of_the_cell_alone(kernel, source):
    kernel.run_cell(source, 10)  # some warnings are shown once only
    alone = kernel.run_cell(source, 10)
    result, doubt = watch(kernel, source)
    assert doubt == ""
    assert without_times(result.outputs) == without_times(alone.outputs)
    assert (result.error is None) == (alone.error is None)


def without_times(outputs):
    """What `%time` prints is never the same twice."""
    return [each for each in outputs if each["output_type"] != "stream" or "time" not in each["text"]]


def test_no_name_and_no_result_is_left_behind(kernel):
    kernel.run_cell("'the last result'", 10)
    state = ("sorted(globals())", "_", "__", "len(Out)", "len(In)", "get_ipython().execution_count")
    before = [value(kernel, each) for each in state]
    watch(kernel, "assert squares(2) == [1, 4]")
    watch(kernel, "assert squares(2) == [1, 5]")
    assert [value(kernel, each) for each in state] == before


def test_questions_use_nothing_of_the_limit_on_what_a_notebook_prints():
    with running(Limits(output_bytes=40_000)) as kernel:
        for _ in range(12):
            assert watch(kernel, "assert squares(2) == [1, 4]")[1] == ""
        assert not kernel.stopped


def test_a_cell_that_never_ends_is_late_and_nobody_doubts_it(kernel):
    result, doubt = watch(kernel, "while True:\n    pass")
    assert result.late
    assert doubt == ""
    assert watch(kernel, "assert squares(1) == [1]")[1] == ""


def test_a_cell_in_which_the_kernel_ends_is_stopped_and_nobody_doubts_it():
    with running(Limits()) as kernel:
        result, doubt = watch(kernel, "import os\nos._exit(0)")
    assert result.stopped
    assert doubt == ""


def hooked(kernel, when, body):
    """The notebook listens to its own cells."""
    code = f"def hook(about):\n    {body}\nget_ipython().events.register('{when}', hook)"
    kernel.run_cell(code, 10)


def test_a_question_that_hangs_is_a_doubt_that_another_run_may_not_have():
    """As on a machine that is too busy; here the notebook hangs at every cell but the test itself."""
    with running(Limits()) as made:
        hooked(made, "pre_run_cell", "while '%d %d' in about.raw_cell: pass")
        found = watched(made, "squares(1)", {}, (), lambda code, _: made.run_cell(code, 2), patience=0.5)
    assert found.late
    assert "did not answer a question in time" in found.doubt


def test_an_exception_of_a_hook_beside_a_cell_that_ended_is_for_a_person_to_look_at():
    with running(Limits()) as made:
        hooked(made, "post_run_cell", "raise ValueError")
        assert watch(made, "assert squares(1)")[1] == canaries.ENDED_AND_RAISED
        assert watch(made, "assert not squares(1)")[1] == ""
