"""`%check` in a real notebook kernel, as a student has it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

COMMAND = Path(sys.executable).with_name("coursekit")

pytestmark = [
    pytest.mark.box,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_core"),
]


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    course = tmp_path_factory.mktemp("course")
    for words in (["new", "first"], ["release", "first"]):
        subprocess.run([COMMAND, *words], cwd=course, check=True, capture_output=True)
    return course / "release" / "first"


def shown(folder, *cells):
    """What each cell shows, in a kernel that runs in this folder."""
    manager, client = start_new_kernel(cwd=str(folder), env={**os.environ, "JUPYTER_PLATFORM_DIRS": "1"})
    try:
        found = []

        def keep(message):
            content = message["content"]
            found.append(content.get("text") or content.get("data", {}).get("text/html") or str(content))

        for cell in cells:
            reply = client.execute_interactive(cell, timeout=60, output_hook=keep)
            assert reply["content"]["status"] == "ok", reply
        return "".join(found)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.context.destroy(linger=0)


def test_check_shows_the_public_checks_as_a_table_below_the_cell(released):
    html = shown(released, "%load_ext coursekit", "%check")
    assert "<table" in html
    assert "double(5) is 10." in html
    assert "<script" not in html


def test_check_away_from_an_assignment_says_where_it_works(tmp_path):
    assert "works in the folder of the assignment" in shown(tmp_path, "%load_ext coursekit", "%check")
