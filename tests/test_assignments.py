"""Every assignment of this repository proves its own grader."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from coursekit import course

ROOT = Path(__file__).parent.parent
COMMAND = Path(sys.executable).with_name("coursekit")


@pytest.mark.parametrize("name", course.names(ROOT))
def test_an_assignment_has_enough_known_wrong_answers(name):
    assert len(course.cases(ROOT, name)) >= 5


@pytest.mark.box
@pytest.mark.parametrize("name", course.names(ROOT))
def test_the_reference_earns_everything_and_each_wrong_answer_what_is_written_down(name):
    done = subprocess.run([COMMAND, "prove", name, "--json"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    proofs = json.loads(done.stdout)["proofs"]
    assert {proof["case"] for proof in proofs} == {"reference", *course.cases(ROOT, name)}
    assert [proof["differences"] for proof in proofs if not proof["holds"]] == []
