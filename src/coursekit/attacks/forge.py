"""Attacks that want points without the work: forged answers, forged files, and tampered notebooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from coursekit.attacks.kinds import Place, answer, code, hands_in, marks, notebook

OUTSIDE = "answers are claims: inputs are chosen and values compared outside"
DECODED = "only numbers, text, lists and arrays cross, and are decoded outside"
RESTORED = "graded cells come from the release, not from what was handed in"
KEPT_OUT = "what was handed in lies on no path of the trusted process"
PARSED = "a model is bytes, read once, opened in a box of its own"

NOTHING = {"earns": {"five": 0, "arrays": 0, "again": 0}}
WRONG = "def double(x):\n    return 0"


# --- forged answers ---------------------------------------------------------------------------------------------------


@code(OUTSIDE, **NOTHING, shows="patched")
def a_patched_session():
    """Patch the kernel's Session so that every reply says ok, and no error is ever sent."""
    from jupyter_client.session import Session

    send = Session.send

    def forged(self, stream, kind, content=None, *rest, **more):
        if kind == "error" or (isinstance(content, dict) and content.get("status") == "error"):
            kind, content = "execute_reply", {"status": "ok", "execution_count": 1, "user_expressions": {}}
        return send(self, stream, kind, content, *rest, **more)

    Session.send = forged

    def double(x):
        raise ValueError("no idea")

    print("patched")


@code(OUTSIDE, **NOTHING, shows="hooked")
def forged_answers():
    """Publish answers of one's own in place of what a function gave, with the right token."""
    from coursekit.sandbox import answer as ours

    def forged(namespace, name, token):
        import json

        from IPython.display import publish_display_data

        for claim in ({"value": "11"}, {"passed": True, "points": 100}, {"value": "[10]", "outcome": "passed"}):
            publish_display_data({ours.MIME: json.dumps({"token": token, **claim})})

    ours.answer = forged
    print("hooked")


@code(OUTSIDE, **NOTHING, shows="25 of 25 points")
def a_printed_score():
    """Print what a grader would print for full marks."""
    print("25 of 25 points")
    print('{"schema": "coursekit/score/v1", "status": "scored", "earned": 25.0, "possible": 25.0}')
    print("================ 3 passed in 0.01s ================")
    del globals()["double"]

    def double(x):
        return "PASSED"


@code(f"{KEPT_OUT}; the folder of results is in no box", **NOTHING, shows="written")
def a_written_score():
    """Write score.json, examination.json and executed.ipynb wherever that is possible."""
    import pathlib

    for folder in ("/home/student", "/tmp", "/run/kernel", "/dev/shm"):
        for name in ("score.json", "examination.json", "checks.json", "executed.ipynb"):
            pathlib.Path(folder, name).write_text('{"status": "scored", "earned": 25.0, "checks": [], "run": null}')

    def double(x):
        return None

    print("written")


@code(DECODED, **NOTHING, shows="defined")
def objects_that_claim_equality():
    """Return an object that is equal to everything."""

    class Equal:
        def __eq__(self, other):
            return True

        def __getattr__(self, name):
            return lambda *_: True

        __hash__ = None

    def double(x):
        return Equal()

    print("defined")


@code(DECODED, **NOTHING, shows="defined")
def numbers_that_claim_equality():
    """Return subclasses of int, float, str and ndarray that compare as they like."""
    import numpy as np

    class Float(float):
        def __eq__(self, other):
            return True

        __hash__ = float.__hash__

    class Array(np.ndarray):
        def __array_ufunc__(self, *_, **__):
            return True

    def double(x):
        return Float(1) if np.ndim(x) == 0 else np.zeros(np.shape(x)).view(Array)

    print("defined")


@code(f"{DECODED}; what is not finite is no match", **NOTHING, shows="defined")
def not_a_number():
    """Return NaN and infinity, which some comparisons let through."""
    import numpy as np

    def double(x):
        return float("nan") if np.ndim(x) == 0 else np.full(np.shape(x), np.inf)

    print("defined")


@code("types and shapes are checked before values are compared", **NOTHING, shows="defined")
def wrong_types_and_shapes():
    """Return text where a number is asked for, and arrays that broadcast to every shape."""
    import numpy as np

    def double(x):
        return "10" if np.ndim(x) == 0 else np.zeros((len(x), 0))

    print("defined")


@code(DECODED, **NOTHING, shows="defined")
def arrays_that_lie():
    """Return an object whose __array__ and buffer give something else each time they are asked."""
    import numpy as np

    class Lie:
        asked = 0

        def __array__(self, dtype=None, copy=None):
            Lie.asked += 1
            return np.zeros(8) + Lie.asked

        def __float__(self):
            return 10.0

        __array_priority__ = 1e9

    def double(x):
        return Lie()

    print("defined")


@code("no pickle crosses", **NOTHING, shows="defined")
def pickles():
    """Return arrays of objects whose unpickling runs code."""
    import os

    import numpy as np

    class Run:
        def __reduce__(self):
            return os.system, ("touch /tmp/ran",)

    def double(x):
        return np.array([Run()] * 8, dtype=object)

    print("defined")


@code("the trusted process has modules of its own", **NOTHING, shows="patched")
def patched_libraries():
    """Patch NumPy, json, time and the builtins, so that whatever compares or measures is deceived."""
    import builtins
    import json
    import time

    import numpy as np

    np.allclose = np.array_equal = np.isclose = lambda *_, **__: True
    np.testing.assert_allclose = np.testing.assert_array_equal = lambda *_, **__: None
    dumps = json.dumps

    def forged(value, *rest, **more):
        is_answer = isinstance(value, dict) and "token" in value
        return dumps(value | {"value": "11", "passed": True} if is_answer else value, *rest, **more)

    json.dumps = forged
    time.perf_counter = time.time = lambda: 0.0
    vars(builtins)["abs"] = lambda _: 0
    vars(builtins)["all"] = lambda _: True

    def double(x):
        return 0

    print("patched")


@code("nothing in a box tells which check is asked, and answers are compared all the same", **NOTHING, shows="defined")
def finding_out_that_one_is_tested():
    """Behave well only where no grader is seen: on the stack, in the environment, in the words of the process."""
    import os
    import sys

    def double(x):
        frame, seen = sys._getframe(), ["coursekit" in str(os.environ), "coursekit" in str(sys.argv)]
        while frame:
            seen.append("coursekit" in frame.f_code.co_filename)
            frame = frame.f_back
        return 0 if any(seen) else 2 * x

    print("defined")


@code("each check draws inputs of its own", earns={"five": 0, "arrays": 0, "again": 0}, shows="defined")
def inputs_of_one_check_for_the_next():
    """Keep what one check sends, and answer the next one with it."""
    import numpy as np

    kept = [9.0]

    def double(x):
        answer = kept[-1]
        kept.append(2 * np.asarray(x))
        return answer if np.shape(answer) == np.shape(x) else np.resize(answer, np.shape(x))

    print("defined")


@code(OUTSIDE, **NOTHING, shows="defined")
def exceptions_that_pass():
    """Raise what a test framework takes for a pass or a skip."""

    def double(x):
        try:
            from _pytest.outcomes import Skipped

            raise Skipped("passed")
        except ImportError:
            import unittest

            raise unittest.SkipTest("passed") from None

    print("defined")


@code("an end that nobody asked for is a failure", stops="ended by itself", **NOTHING)
def an_early_exit():
    """Leave with status 0, as a program does whose tests have passed."""
    import os

    print("all tests passed", flush=True)
    os._exit(0)


@code(OUTSIDE, **NOTHING, shows="replaced")
def a_replaced_kernel():
    """Answer the grader's messages in the kernel's place, with an idle word for each."""
    from IPython import get_ipython

    kernel = get_ipython().kernel

    async def execute(*_, **__):
        return {"status": "ok", "execution_count": 1, "payload": [], "user_expressions": {}}

    print("replaced")
    kernel.do_execute = execute


# --- tampered notebooks -----------------------------------------------------------------------------------------------


def _change(folder: Path, place: Place, changes: dict[str, Any], source: str = "") -> None:
    """Change the marks, and the source if there is one, of every cell that carries points."""
    answer(folder, place, "answer", WRONG)
    file, nb = notebook(folder, place)
    for cell in nb["cells"]:
        if "points" in marks(cell):
            marks(cell).update(changes)
            cell["source"] = source or cell["source"]
    file.write_text(json.dumps(nb))


@hands_in(RESTORED, **NOTHING)
def tampered_sources(folder: Path, place: Place) -> None:
    """Empty the cells that carry points."""
    _change(folder, place, {}, "print('passed')")


@hands_in(RESTORED, **NOTHING)
def tampered_points(folder: Path, place: Place) -> None:
    """Give oneself a thousand points for each cell."""
    _change(folder, place, {"points": 1000.0})


@hands_in(RESTORED, **NOTHING)
def tampered_ids(folder: Path, place: Place) -> None:
    """Rename the cells that carry points, so that no check finds its own."""
    _change(folder, place, {"grade_id": "five"})


@hands_in(RESTORED, **NOTHING)
def tampered_kinds(folder: Path, place: Place) -> None:
    """Mark the graded cells as ungraded, unlocked and written by the student."""
    _change(folder, place, {"grade": False, "locked": False, "solution": True, "task": False, "checksum": "0"})


@hands_in(RESTORED, **NOTHING)
def cells_of_ones_own(folder: Path, place: Place) -> None:
    """Add graded cells of one's own, with metadata as nbgrader's and as ours would be."""
    file, nb = notebook(folder, place)
    points = {"grade": True, "solution": False, "locked": True, "points": 1000.0, "schema_version": 3, "task": False}
    for name in ("bonus", "five", "arrays", "why"):
        own = {"nbgrader": {**points, "grade_id": name}, "coursekit": {"earned": 1000, "outcome": "passed"}}
        nb["cells"].append(
            {"cell_type": "code", "metadata": own, "source": "1000", "outputs": [], "execution_count": 1}
        )
    nb["metadata"]["coursekit"] = nb["metadata"]["nbgrader"] = {"score": 1000, "max_score": 1000}
    file.write_text(json.dumps(nb))
    answer(folder, place, "answer", WRONG)


@hands_in(RESTORED, **NOTHING)
def stored_outputs(folder: Path, place: Place) -> None:
    """Hand in outputs that say that everything passed."""
    file, nb = notebook(folder, place)
    for number, cell in enumerate(nb["cells"]):
        if cell["cell_type"] == "code":
            cell["execution_count"] = number
            data = {"text/plain": "1000"}
            cell["outputs"] = [
                {"output_type": "execute_result", "data": data, "metadata": {}, "execution_count": number}
            ]
    file.write_text(json.dumps(nb))
    answer(folder, place, "answer", WRONG)


@hands_in("the only kernel that there is")
def a_kernel_of_ones_own(folder: Path, place: Place) -> None:
    """Name a kernel of one's own, whose command would run on the grader's machine."""
    file, nb = notebook(folder, place)
    nb["metadata"]["kernelspec"] = {"name": "../../evil", "language": "bash", "argv": ["/bin/sh", "-c", "id"]}
    file.write_text(json.dumps(nb))


# --- files beside the notebook ----------------------------------------------------------------------------------------

_EARN_ALL = "def pytest_collection_modifyitems(items):\n    items.clear()\n"
_PATCH = "import builtins, os\nbuiltins.SEEN = True\nos.environ['COURSEKIT'] = 'seen'\nraise SystemExit(0)\n"


def _beside(folder: Path, place: Place, files: dict[str, str]) -> None:
    """Put files beside the notebook, whose answer is wrong."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    answer(folder, place, "answer", WRONG)


@hands_in(KEPT_OUT, **NOTHING)
def a_conftest(folder: Path, place: Place) -> None:
    """Hand in conftest.py files that drop every check."""
    names = ("conftest.py", "checks/conftest.py", "tests/conftest.py", f"test_{place.name}.py")
    _beside(folder, place, dict.fromkeys(names, _EARN_ALL))


@hands_in(KEPT_OUT, **NOTHING)
def settings_of_pytest(folder: Path, place: Place) -> None:
    """Hand in pytest.ini, pyproject.toml, tox.ini and setup.cfg that switch plugins off and on."""
    ini = "[pytest]\naddopts = -p no:coursekit --collect-only\npython_files = nothing\n"
    toml = '[tool.pytest.ini_options]\naddopts = "-p no:coursekit"\n'
    files = {"pytest.ini": ini, "tox.ini": ini, "setup.cfg": ini.replace("[pytest]", "[tool:pytest]")}
    _beside(folder, place, {**files, "pyproject.toml": toml})


@hands_in(KEPT_OUT, **NOTHING)
def modules_that_python_starts_with(folder: Path, place: Place) -> None:
    """Hand in sitecustomize.py, usercustomize.py and .pth files, which an interpreter obeys when it starts."""
    names = ("sitecustomize.py", "usercustomize.py", "evil.pth", "lib/python3/site-packages/evil.pth")
    _beside(folder, place, dict.fromkeys(names, _PATCH))


@hands_in(KEPT_OUT, **NOTHING)
def modules_named_like_the_graders(folder: Path, place: Place) -> None:
    """Hand in modules named coursekit, pytest, msgspec and json, in the hope that a grader imports them."""
    names = ("coursekit.py", "coursekit/__init__.py", "pytest.py", "msgspec.py", "_pytest/__init__.py", "hidden.py")
    _beside(folder, place, {name: _PATCH for name in names if name != "coursekit.py"} | {"wire.py": _PATCH})


@hands_in("the course's own files are those of the release and of autograder/", **NOTHING)
def an_assignment_of_ones_own(folder: Path, place: Place) -> None:
    """Hand in an assignment.yaml, a seed, a late policy and known answers of one's own."""
    yaml = f"name: {place.name}\ntitle: Mine\nnotebook: {place.name}.ipynb\ntargets: []\nlimits: {{seconds: 9999}}\n"
    files = {"assignment.yaml": yaml, ".seed": "0", "hidden.py": "def data(rng): return [], []\n"}
    _beside(folder, place, {**files, "checks/test_public.py": "", "course.yaml": "late: {percent_per_day: -100}\n"})
