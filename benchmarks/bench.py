"""How long grading takes, against nbgrader and against the time that students' own cells take.

Every line is a ratio from one run, both sides on the same submissions of the same course, one after the other on one
machine; its target stands beside it, reached or not. Run it with `make bench`, or with the numbers of some lines:

    python benchmarks/bench.py 1 6
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nbformat

from coursekit import release, sandbox
from coursekit.records import Limits
from coursekit.sandbox.kernel import Kernel

BIN = Path(sys.executable).parent
NAME = "ps1"
CORES = len(os.sched_getaffinity(0))

CLOCK = "import time as _time\n_began = _time.process_time()"
SPENT = "print(f'cells took {_time.process_time() - _began:.4f} s')"

LIGHT = {
    "imports": "import numpy as np",
    "solution": "def scaled(x):\n    x = np.asarray(x, float)\n    return (x - x.mean()) / x.std()",
    "test": "y = scaled(np.arange(1000))\nassert abs(y.mean()) < 1e-9\nassert abs(y.std() - 1) < 1e-9",
}
TENSORFLOW = {
    "imports": "import numpy as np\nimport tensorflow as tf",
    "solution": """def trained():
    tf.keras.utils.set_random_seed(1)
    x = np.random.default_rng(0).normal(size=(256, 16)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("float32")
    layers = [tf.keras.layers.Dense(16, activation="relu"), tf.keras.layers.Dense(1, activation="sigmoid")]
    model = tf.keras.Sequential([tf.keras.Input((16,)), *layers])
    model.compile("adam", "binary_crossentropy")
    model.fit(x, y, epochs=2, verbose=0)
    return model""",
    "test": "model = trained()\nassert model.predict(np.zeros((1, 16), 'float32'), verbose=0).shape == (1, 1)",
}


# --- A plain nbgrader course, which both can grade --------------------------------------------------------------------


def course(root: Path, cells: dict[str, str], submissions: int) -> Path:
    """Make a released course of one assignment that so many students handed in."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_code_cell(CLOCK),
        nbformat.v4.new_code_cell(cells["imports"]),
        marked(f"### BEGIN SOLUTION\n{cells['solution']}\n### END SOLUTION", "solution", solution=True),
        marked(cells["test"], "test", grade=True, locked=True, points=2),
        nbformat.v4.new_code_cell(SPENT),
    ]
    (root / "source" / NAME).mkdir(parents=True)
    nbformat.write(notebook, root / "source" / NAME / f"{NAME}.ipynb")
    (root / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'bench'\n")
    release.release(root, NAME)
    hand_in(root, cells, submissions)
    return root


def marked(source: str, grade_id: str, **facts: object) -> nbformat.NotebookNode:
    """Give a cell with nbgrader's marks."""
    marks = {
        "grade_id": grade_id,
        "grade": False,
        "solution": False,
        "locked": False,
        "task": False,
        "schema_version": 3,
    }
    return nbformat.v4.new_code_cell(source, metadata={"nbgrader": {**marks, **facts}})


def hand_in(root: Path, cells: dict[str, str], submissions: int) -> None:
    """Let so many students answer."""
    released = nbformat.read(root / "release" / NAME / f"{NAME}.ipynb", as_version=4)
    answer = next(cell for cell in released.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "solution")
    for number in range(submissions):
        answer.source = f"# student {number}\n{cells['solution']}"
        folder = root / "submitted" / f"student{number:04}" / NAME
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(released, folder / f"{NAME}.ipynb")


def run(words: list[object], root: Path) -> tuple[float, int]:
    """Run a command in a course; the seconds that it took, and the most bytes that its own process held."""
    peak, began = 0, time.monotonic()
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}  # nbgrader looks for a program called alembic
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([*map(str, words)], cwd=root, env=environment, stdout=said, stderr=said)
        while True:
            try:
                process.wait(0.1)
                break
            except subprocess.TimeoutExpired:
                found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
                peak = max(peak, int(found[1]) * 1024 if found else 0)
        seconds = time.monotonic() - began
        said.seek(0)
        if process.returncode:
            raise SystemExit(f"{words} left with {process.returncode}:\n{said.read().decode()[-2000:]}")
    return seconds, peak


def graded(root: Path) -> tuple[float, int]:
    """Grade with coursekit, and see that everybody has all points."""
    taken = run([BIN / "coursekit", "grade", NAME], root)
    scores = [json.loads(path.read_bytes()) for path in root.glob(f"scores/*/{NAME}/score.json")]
    wrong = [score["student"] for score in scores if score["earned"] != 2]
    if wrong or len(scores) != len(list(root.glob("submitted/*"))):
        raise SystemExit(f"not graded as it should be: {wrong[:5]} of {len(scores)}")
    return taken


def cell_seconds(root: Path) -> float:
    """Processor time inside the students' own cells, as the notebooks themselves say it."""
    found = 0.0
    for path in root.glob(f"autograded/*/{NAME}/{NAME}.ipynb"):
        found += float(re.search(r"cells took ([\d.]+) s", path.read_text())[1])
    return found


# --- The six lines ---------------------------------------------------------------------------------------------------


def against_nbgrader(number: int, cells: dict[str, str], submissions: int, target: float, what: str) -> None:
    """Both on the same submissions, one after the other."""
    with tempfile.TemporaryDirectory() as scratch:
        ours = course(Path(scratch) / "ours", cells, submissions)
        theirs = Path(shutil.copytree(ours, Path(scratch) / "theirs"))
        long, _ = run([sys.executable, "-m", "nbgrader", "autograde", NAME], theirs)
        short, _ = graded(ours)
    said = f"{what}, {submissions} submissions: nbgrader autograde {long:.1f} s, coursekit {short:.1f} s"
    tell(number, said, long / short, target, at_least=True)


def overhead(submissions: int = 100) -> None:
    """Wall-clock time multiplied by cores, by the time inside the students' cells."""
    with tempfile.TemporaryDirectory() as scratch:
        root = course(Path(scratch) / "course", TENSORFLOW, submissions)
        wall, _ = graded(root)
        cells = cell_seconds(root)
    said = f"TensorFlow, {submissions} submissions: {wall:.1f} s on {CORES} cores, {cells:.1f} s inside cells"
    tell(3, said, wall * CORES / cells, 1.35, at_least=False)


def growth() -> None:
    """Time per submission and the grader's memory, from one submission to a thousand; then all of it unchanged."""
    each: dict[int, float] = {}
    peak = 0
    for submissions in (1, 10, 100, 1000):
        with tempfile.TemporaryDirectory() as scratch:
            root = course(Path(scratch) / "course", LIGHT, submissions)
            seconds, held = graded(root)
            each[submissions], peak = seconds / submissions, max(peak, held)
            print(
                f"    {submissions:4} submissions: {1000 * each[submissions]:.0f} ms each, {held / 1e6:.0f} MB",
                flush=True,
            )
            if submissions == 1000:
                again, _ = graded(root)
    sizes = (10, 100, 1000)
    later = [(size * each[size] - each[1]) / (size - 1) for size in sizes]
    print(f"    beyond the first: {', '.join(f'{1000 * seconds:.0f} ms' for seconds in later)} each", flush=True)
    tell(
        4,
        f"NumPy, 10 to 1000 submissions, time each (beyond the first {max(later) / min(later):.2f}); "
        f"the grader held {peak / 1e6:.0f} MB (500)",
        max(each[size] for size in sizes) / min(each[size] for size in sizes),
        1.15,
        at_least=False,
    )
    tell(5, "NumPy, 1000 submissions unchanged, milliseconds each", again, 5.0, at_least=False)


def first_cell(times: int = 5) -> None:
    """From nothing to the first TensorFlow cell's answer."""
    zygote = sandbox.kernels(["tensorflow", "keras"])
    try:
        once(zygote.path)  # until it has imported all
        cold, warm = [], []
        for _ in range(times):
            cold.append(once(""))
            warm.append(once(zygote.path))
    finally:
        zygote.close()
    slow, fast = statistics.median(cold), statistics.median(warm)
    tell(6, f"first TensorFlow cell: cold {slow:.2f} s, warm {fast:.2f} s", slow / fast, 10.0, at_least=True)


def once(zygote: str) -> float:
    """Start a kernel, run one cell, and say how long that took."""
    began = time.monotonic()
    kernel = Kernel("bwrap", Limits(), {}, zygote)
    try:
        result = kernel.run_cell("import tensorflow as tf\nprint(int(tf.reduce_sum(tf.constant([1, 2]))))", 60)
        taken = time.monotonic() - began
    finally:
        kernel.close()
    if not any(each.get("text") == "3\n" for each in result.outputs):
        raise SystemExit(f"the cell did not give 3: {result}")
    return taken


def tell(number: int, said: str, reached: float, target: float, *, at_least: bool) -> None:
    """Print one line with its target, reached or missed."""
    held = reached >= target if at_least else reached <= target
    bound = "at least" if at_least else "at most"
    verdict = "reached" if held else "MISSED"
    print(f"({number}) {said}: {reached:.3g}, target {bound} {target:g}, {verdict}", flush=True)


LINES: dict[str, Callable[[], None]] = {
    "1": lambda: against_nbgrader(1, TENSORFLOW, 12, 12.0, "TensorFlow"),
    "2": lambda: against_nbgrader(2, LIGHT, 24, 4.0, "NumPy"),
    "3": overhead,
    "4": growth,
    "6": first_cell,
}
"""Number -> what prints it; 4 prints 5 too."""


if __name__ == "__main__":
    for line in sys.argv[1:] or LINES:
        LINES[line]()
