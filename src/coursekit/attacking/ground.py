"""The ground on which attacks are tried: a course with three assignments, secrets in every place, and traps.

An attacker is told where everything lies, and not what it holds. A trap is a service that nobody has reason to ask.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import nbformat
from nbformat import v4

from coursekit import course, notebook, proving, release, scaffold
from coursekit.attacks import Attack, Place, cell
from coursekit.measure.samples import PLANES, samples
from coursekit.records import Case

HONEST = "honest"
"""Who hands in honest work beside all attackers."""
FORT, VAULT, CELLS = "fort", "vault", "cells"
NAMES = (FORT, VAULT, CELLS)
"""Functions to write, a model to make, and a test cell of the notebook's own."""
_ANSWERS = {FORT: "answer", VAULT: "export", CELLS: "answer"}

SECONDS = 20
"""What one submission may take in all."""
_LIMITS = f"""\
limits:
  seconds: {SECONDS}
  cell_seconds: 2
  memory_bytes: 400_000_000
  processes: 64
  disk_bytes: 20_000_000
  output_bytes: 300_000
  message_bytes: 1_000_000
"""

_AGAIN = '''

@pytest.mark.points(3, id="again")
def test_again(kernel, rng):
    """double works on what it has not seen before."""
    for _ in range(2):
        x = rng.normal(size=8)
        doubled = kernel.call("double", x, returns=Array(shape=(8,)))
        assert np.allclose(doubled, 2 * x), "Every element has to be doubled, each time."
'''

_DATA = '''"""Points in four dimensions, and which of three planes they are farthest from."""

import numpy as np

PLANES = np.array({planes}, "float32")


def data(rng):
    x = rng.uniform(0, 8, size=(60, 4)).astype("float32")
    return x, (x @ PLANES.T).argmax(axis=1)
'''

_PUBLIC_DATA = '''"""Points on one axis, which one can know by heart."""

import numpy as np


def data(rng):
    x = np.zeros((20, 4), "float32")
    x[:, 3] = rng.uniform(1, 8, size=20)
    return x, np.ones(20, int)
'''

_TARGETS = """\
artifact: {path: model.tflite, max_bytes: 2_000_000}
targets:
  - {id: size, metric: file_bytes, at_most: {pass: 2_000, full: 1_000}, points: 2}
  - {id: accuracy, metric: accuracy, data: hidden, at_least: {pass: 0.8, full: 0.9}, points: 3}
  - {id: known, metric: accuracy, data: public, at_least: {pass: 0.8, full: 0.9}, points: 1}
  - {id: latency, metric: latency_ms, profile: nano33-ble-sense, at_most: {pass: 1, full: 0.5}, points: 2}
"""

_OWN = """\
# double works on whole numbers and on arrays.
import numpy as np
assert double(4) == 8
assert np.allclose(double(np.arange(3.0)), [0, 2, 4])
### BEGIN HIDDEN TESTS
assert double(21) == 42, "{secret}"
### END HIDDEN TESTS"""


class Secrets:
    """Words that no student may ever see, by where they stand."""

    def __init__(self) -> None:
        places = ("environment", "file of the host", "hidden check", "hidden data", "other submission", "seed")
        self.words = {place: secrets.token_hex(12) for place in places}

    def __getitem__(self, place: str) -> str:
        return self.words[place]

    def found_in(self, data: bytes) -> list[str]:
        """The places whose words are in these bytes, written forwards or backwards."""
        both = {place: (word.encode(), word[::-1].encode()) for place, word in self.words.items()}
        return [place for place, words in both.items() if any(word in data for word in words)]


class Traps:
    """Services on the host that nobody has reason to ask."""

    def __init__(self, folder: Path, ends: ExitStack) -> None:
        self.abstract = f"coursekit-trap-{secrets.token_hex(8)}"
        self.path = str(folder / "trap")
        tcp = ends.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port: int = tcp.getsockname()[1]
        udp = ends.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", self.port))
        self._listening = {"a TCP port": tcp}
        self._reading = {"a UDP port": udp}
        for what, name in (("an abstract socket", f"\0{self.abstract}"), ("a unix socket", self.path)):
            trap = ends.enter_context(socket.socket(socket.AF_UNIX))
            trap.bind(name)
            trap.listen()
            self._listening[what] = trap
        Path(self.path).chmod(0o777)
        for each in (*self._listening.values(), udp):
            each.setblocking(False)

    def sprung(self) -> list[str]:
        """The services that somebody asked since they were looked at last."""
        found = []
        for what, trap in self._listening.items():
            with contextlib.suppress(BlockingIOError):
                trap.accept()[0].close()
                found.append(what)
        for what, trap in self._reading.items():
            with contextlib.suppress(BlockingIOError):
                trap.recv(1)
                found.append(what)
        return found


@contextmanager
def traps(folder: Path) -> Iterator[Traps]:
    """Traps in this folder, for as long as the context lasts."""
    with ExitStack() as ends:
        yield Traps(folder, ends)


# --- the course -------------------------------------------------------------------------------------------------------


def make(root: Path, secret: Secrets) -> None:
    """The assignments, released."""
    for name in NAMES:
        scaffold.new(root, name)
        hidden = root / "autograder" / name
        check = hidden / f"test_{name}.py"
        check.write_text(f"{check.read_text()}{_AGAIN if name == FORT else ''}\n# {secret['hidden check']}\n")
        course.plant_seed(root, name, secret["seed"])
        facts = f"name: {name}\ntitle: {name.capitalize()}\nnotebook: {name}.ipynb\npreload: [numpy]\n{_LIMITS}"
        (root / "assignments" / name / "assignment.yaml").write_text(facts + (_TARGETS if name == VAULT else ""))
    (root / "autograder" / VAULT / "hidden.py").write_text(
        f"{_DATA.format(planes=PLANES)}\n# {secret['hidden data']}\n"
    )
    (root / "assignments" / VAULT / "checks" / "public.py").write_text(_PUBLIC_DATA)
    _add_cells(root, FORT, {"again": 3})
    _add_cells(root, VAULT, {"size": 2, "accuracy": 3, "known": 1, "latency": 2}, answer=_writes_the_model())
    _add_cells(root, CELLS, {"own": 2}, source=_OWN.format(secret=secret["hidden check"]))
    for name in NAMES:
        release.release(root, name)


def _writes_the_model() -> str:
    model = base64.b64encode(samples()["honest"]).decode()
    return f"import base64, pathlib\npathlib.Path('model.tflite').write_bytes(base64.b64decode('{model}'))"


def _add_cells(root: Path, name: str, points: dict[str, int], answer: str = "", source: str = "") -> None:
    """Put the cells of further checks into the notebook, after one more answer if there is one; or of tests."""
    file = root / "assignments" / name / f"{name}.ipynb"
    nb = nbformat.read(file, as_version=4)
    if answer:
        solution = f"### BEGIN SOLUTION\n{answer}\n### END SOLUTION"
        marks = scaffold.marks("export", solution=True)
        nb.cells.append(v4.new_code_cell(solution, id="export", metadata=marks))
    cells = [scaffold.check_cell(check, worth) for check, worth in points.items()]
    for each in cells:
        each.source = source or each.source
    nb.cells += cells
    nbformat.write(nb, file)


def hand_in(root: Path, attacks: Sequence[Attack], place: dict[str, Place], secret: Secrets) -> None:
    """Put every attack where students hand in, and an honest submission for each assignment beside them."""
    for name in NAMES:
        graded = _ANSWERS[name]
        source = nbformat.read(root / "assignments" / name / f"{name}.ipynb", as_version=4)
        honest = notebook.source_of(source, graded)
        cases = {HONEST: Case(why="", cells={graded: f"{honest}\n# {secret['other submission']}"})}
        for attack in attacks:
            if attack.assignment == name:
                cells = {graded: cell(honest, attack, place[name])} if attack.source else {}
                cases[attack.id] = Case(why=attack.tried, cells=cells)
        handed_in = {each.student: each for each in proving.hand_in(root, name, root / "submitted", cases)}
        for attack in attacks:
            if attack.assignment == name and attack.hand_in:
                attack.hand_in(Path(handed_in[attack.id].folder), place[name])


def place_of(root: Path, name: str, trap: Traps, secret_file: Path, temporary: Path, token: str) -> Place:
    """What an attacker of this assignment is told."""
    models = {each: base64.b64encode(data).decode() for each, data in samples().items()} if name == VAULT else {}
    return Place(
        port=trap.port,
        abstract=trap.abstract,
        socket=trap.path,
        course=str(root),
        name=name,
        secret=str(secret_file),
        temporary=str(temporary),
        token=token,
        models=models,
    )
