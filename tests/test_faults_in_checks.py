"""The trusted pytest process breaks in the grader's own code, or an engine's tool is not what it should be."""

import os
import re
import signal
import sysconfig
from pathlib import Path

import pytest

import courses
import models
import struck
from struck import NAME, within

pytestmark = pytest.mark.box

FULL = 6.0
DEFINES = "def double(x):\n    return 2 * x\n"


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """Where the check of this class finds out whether it is to break, and says that it waits."""
    return tmp_path_factory.mktemp("flags")


# --- The trusted process ----------------------------------------------------------------------------------------------

WHOLE = {
    "abort": "the trusted process was ended by signal 6 (aborted)",
    "exit": "the trusted process ended with status 0 and no result",
    "interrupt": "a check ended all others (KeyboardInterrupt)",
    "quit": "a check ended all others (Exit)",
    "remove": "what the checks found could not be written",
    "wait": "the trusted process was ended by signal 9 (killed)",
}
"""What takes the whole examination with it -> how its score says so."""
ALONE = {
    "fixture": "ValueError in test_faults.py, line",
    "print": "OSError in test_faults.py, line",
}
"""What breaks one check -> how that says so."""


def test_a_grader_that_breaks_in_its_own_code_is_nobody_s_zero(tmp_path, flags):
    root = struck.graded(tmp_path / "course", checks={"fault": 1}, hidden={"test_faults.py": struck.faults(flags)})
    everyone = ["ada", *WHOLE, *ALONE, "zoe"]
    for student in everyone[1:]:
        courses.submit(root, student, {"answer": f"# fault: {student}\n{DEFINES}"})
    before = struck.held(root, "ada")
    (flags / "on").touch()
    with struck.running(tmp_path, "grade", NAME, "--course", str(root)) as process:
        asked = struck.exists(process, flags / "asked")
        while not asked.read_text():
            assert process.poll() is None
        os.kill(int(asked.read_text()), signal.SIGKILL)
        done = struck.ended(process, tmp_path)
    (flags / "on").unlink()
    assert done.code == 0, done.err
    assert struck.held(root, "ada") == before
    assert struck.score(root, "zoe").earned == FULL
    for student, sentence in (WHOLE | ALONE).items():
        score = struck.score(root, student)
        assert (score.status, score.earned, score.grade.earned) == ("unscored", "unscored", "unscored")
        assert score.reason.endswith("The instructor has to mend this.")
        assert sentence in " ".join([score.reason, *(check.hint for check in score.checks)])
        log = root / "scores" / student / NAME / "grader.log"
        assert log.exists() == (student != "remove")
        assert student == "remove" or log.stat().st_size <= 1_000_000
    for student in ALONE:
        outcomes = courses.outcomes(struck.score(root, student))
        assert outcomes == {"five": "passed", "arrays": "passed", "fault": "broken"}
    done = struck.finishes(root, dict.fromkeys(everyone, FULL), ["ada", "zoe"])
    assert done == dict.fromkeys(everyone, "run") | {"ada": "keep", "zoe": "keep"} | dict.fromkeys(ALONE, "check")


# --- Engines ----------------------------------------------------------------------------------------------------------

FACTS = """\
artifact: {path: model.tflite, max_bytes: 20_000}
targets:
  - {id: size, metric: file_bytes, at_most: {pass: 4_000, full: 2_000}, points: 1}
  - {id: arena, metric: arena_bytes, profile: nano33-ble-sense, at_most: {pass: 40_000, full: 20_000}, points: 2}
  - {id: npu, metric: npu_sram_bytes, profile: ethos-u55-128, at_most: {pass: 40_000, full: 20_000}, points: 4}
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    cells = (courses.answer_cell("export", courses.writes(models.dense())),)
    checks = {"size": 1, "arena": 2, "npu": 4}
    return struck.graded(tmp_path_factory.mktemp("measured") / "course", facts=FACTS, cells=cells, checks=checks)


PACKAGES = Path(sysconfig.get_paths()["purelib"])
WANTED = {name: next(iter(PACKAGES.glob(f"{name}-*.dist-info"))) for name in ("tflite_micro", "ethos_u_vela")}
ABSENT = ["--tmpfs", str(PACKAGES / "tflite_micro"), "--tmpfs", str(PACKAGES / "ethosu")]
TOOLS = {
    "absent": {
        "arena": r"the Python package tflite-micro is not installed; tflite-micro==\S+ is needed\. pip install",
        "npu": r"the Python package ethos-u-vela is not installed; ethos-u-vela==\S+ is needed\. pip install",
    },
    "another": {
        "arena": r"tflite-micro==\S+ is needed; tflite-micro 0\.1 is installed\. pip install",
        "npu": r"ethos-u55-128 needs ethos-u-vela 5\.2\.0; 0\.1 is installed\. pip install",
    },
    "no reader": dict.fromkeys(
        ("size", "arena", "npu"), r"the Python package ai-edge-litert is not installed; ai-edge-litert>=2\.1 is needed"
    ),
}


def another_version(folder):
    """Real packages of another version, by what is written in them."""
    words = []
    for place in WANTED.values():
        text = (place / "METADATA").read_text()
        file = folder / place.name
        file.write_text(re.sub(r"^Version: .*$", "Version: 0.1", text, count=1, flags=re.MULTILINE))
        words += ["--ro-bind", str(file), str(place / "METADATA")]
    return words


@pytest.mark.parametrize("how", TOOLS)
def test_a_tool_that_is_missing_or_of_another_version_breaks_its_targets_alone(measured, tmp_path, how):
    root = courses.copy(measured, tmp_path)
    courses.submit(root, "bob")
    before = struck.held(root, "ada")
    hidden = {"absent": ABSENT, "no reader": ["--tmpfs", str(PACKAGES / "ai_edge_litert")]}.get(how)
    words = ("grade", NAME, "bob", "--course", str(root))
    done = struck.ran(tmp_path, *words, before=within(*(hidden or another_version(tmp_path))))
    assert done.code == 0, done.err
    assert struck.held(root, "ada") == before
    bob = struck.score(root, "bob")
    checks = courses.by_id(bob)
    assert (bob.status, bob.earned) == ("unscored", "unscored")
    assert bob.reason.endswith("broke, which says nothing about the work. The instructor has to mend this.")
    for target, sentence in TOOLS[how].items():
        assert checks[target].outcome == "broken"
        assert re.search(sentence, checks[target].hint), checks[target].hint
    assert {name for name, each in checks.items() if each.outcome == "passed"} == set(checks) - set(TOOLS[how])
    assert struck.finishes(root, {"ada": 12.0, "bob": 12.0})["ada"] == "keep"
