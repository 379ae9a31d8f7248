"""The shape of the package: who may import whom, which words name nothing, and what stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import coursekit

PACKAGE = Path(coursekit.__file__).parent

# From the ground up. A room imports from floors below its own, never from its own floor or above.
FLOORS = (
    ("words", {"records", "tasks", "errors", "decoding", "plainfile", "making"}),
    (
        "pure",
        {
            "specs",
            "notebook",
            "scoring",
            "report",
            "profiles",
            "wire",
            "canaries",
            "cellgrades",
            "assertions",
            "figures",
            "cost",
            "exposure",
            "pairs",
            "ingredients",
        },
    ),
    ("processes", {"warm"}),
    ("edges", {"sandbox", "measure", "gradebook", "course", "examiner", "pool"}),
    ("results", {"shelf"}),
    ("one submission", {"grading", "examination"}),
    ("plans", {"planning", "keeping", "parcel"}),
    ("warmth", {"warming"}),
    ("far away", {"remote"}),
    ("places", {"dispatch"}),
    (
        "classes",
        {"batch", "release", "reporting", "checking", "measuring", "scaffold", "doctor", "calibrating", "attacks"},
    ),
    ("proofs", {"proving"}),
    ("shows", {"demo", "attacking"}),
    ("doors", {"cli", "pytest_plugin", "magics"}),
)
FLOOR = {room: height for height, (_, rooms) in enumerate(FLOORS) for room in rooms}

# What the ground rooms may know of each other, and a pure room that two others stand on.
NEIGHBOURS = {
    ("tasks", "records"),
    ("decoding", "errors"),
    ("plainfile", "errors"),
    ("cellgrades", "assertions"),
    ("cellgrades", "canaries"),
}
NEIGHBOURS |= {("exposure", "canaries"), ("exposure", "notebook"), ("exposure", "specs")}
NEIGHBOURS |= {("report", "figures"), ("scoring", "figures"), ("profiles", "cost")}

# What attacks import they import in a student's kernel.
OUTSIDE = {
    "nbgrader": {"gradebook"},
    "nbconvert": {"gradebook"},
    "jupyter_client": {"sandbox", "attacks"},
    "zmq": {"sandbox"},
    "sqlalchemy": {"gradebook"},
    "psycopg": {"gradebook"},
    "ai_edge_litert": {"measure"},
    "tflite_micro": {"measure"},
    "ethosu": {"measure"},
    "tensorflow": set(),
    "pytest": {"pytest_plugin"},
    "click": {"cli"},
    "jinja2": {"report", "gradebook"},
    "IPython": {"magics", "sandbox", "attacks"},
    "pickle": set(),
    "dask": {"pool"},
    "distributed": {"pool"},
}

SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc", "core"}


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    """Every module that a file imports, wherever in it, outside `if TYPE_CHECKING` too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "coursekit":
                yield from (f"coursekit.{alias.name}" for alias in node.names)


def test_every_room_has_a_floor():
    rooms = {room_of(path) for path in modules()} - {"__init__"}
    assert rooms - set(FLOOR) == set()
    assert set(FLOOR) - rooms == set()


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_from_floors_below_only(path):
    here = room_of(path)
    if here == "__init__":
        return
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "coursekit" and len(parts) > 1 and parts[1] in FLOOR and parts[1] != here:
            below = FLOOR[parts[1]] < FLOOR[here]
            assert below or (here, parts[1]) in NEIGHBOURS, f"{here} imports {parts[1]}"


@pytest.mark.parametrize("outside", OUTSIDE)
def test_each_outside_thing_is_known_by_its_own_room(outside):
    knowing = {room_of(path) for path in modules() for name in imported(path) if name.split(".")[0] == outside}
    assert knowing <= OUTSIDE[outside]


def test_no_room_is_named_for_having_no_name():
    named = {part.removesuffix(".py") for path in modules() for part in path.relative_to(PACKAGE).parts}
    assert named & SAYS_NOTHING == set()


@pytest.mark.parametrize("door", ["coursekit", "coursekit.cli"])
def test_the_command_line_is_light(door):
    heavy = ("tensorflow", "nbgrader", "numpy", "rich", "zmq", "msgspec", "yaml", "jinja2", "IPython")
    words = f"import sys, {door}; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", words], text=True).strip() == "[]"


def test_no_module_is_too_long_to_read_in_one_sitting():
    long = {path.name: len(path.read_text().splitlines()) for path in modules()}
    assert {name: lines for name, lines in long.items() if lines > 450} == {}


def test_no_function_is_longer_than_57_lines():
    functions = (
        (path, node)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    )
    long = [f"{path.name}:{node.name}" for path, node in functions if node.end_lineno - node.lineno >= 57]
    assert long == []


def test_the_student_s_code_and_the_grader_share_no_pickle():
    text = "".join(path.read_text() for path in modules())
    assert "allow_pickle=True" not in text
