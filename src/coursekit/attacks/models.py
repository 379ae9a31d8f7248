"""Attacks by models: points for a model that is not what it is taken for. The cell has written an honest one before."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from coursekit.attacks import kinds
from coursekit.attacks.kinds import Place, answer

code = partial(kinds.code, group="forge", assignment="vault")
hands_in = partial(kinds.hands_in, group="forge", assignment="vault")

ONE_READING = "a model is read once, while nothing in the box moves, and every figure is of those bytes"
OPENED = "a model is opened in a box of its own, without the student's code"
PLAIN_FILES = "only an ordinary file of a stated size is read, and no link is followed"
ALL = {"size": 0, "accuracy": 0, "known": 0, "latency": 0}
BUT_SIZE = {"accuracy": 0, "known": 0, "latency": 0}


@hands_in("what is handed in is not what the notebook made", earns=ALL, shows="no file 'model.tflite'")
def a_model_from_elsewhere(folder: Path, place: Place) -> None:
    """Hand in a finished model with a time of tomorrow, beside a notebook that makes none."""
    import base64

    (folder / "model.tflite").write_bytes(base64.b64decode(place.models["honest"]))
    os.utime(folder / "model.tflite", (4e9, 4e9))
    answer(folder, place, "export", "pass")


@code("hidden data, drawn from a secret seed", earns={"accuracy": 0}, shows="written")
def a_model_that_knows_the_public_data(place):
    """Make a model that knows the public data by heart."""
    import base64
    import pathlib

    pathlib.Path("model.tflite").write_bytes(base64.b64decode(place["models"]["by-heart"]))
    print("written")


@code("work that no measurement supports is not graded", earns={"latency": 0}, shows="Not graded on")
def work_in_unpriced_operators(place):
    """Do the same work by operators that no board was measured with."""
    import base64
    import pathlib

    pathlib.Path("model.tflite").write_bytes(base64.b64decode(place["models"]["by-hand"]))


@code("an operator that nobody knows runs nowhere", earns=BUT_SIZE, shows="FreeLunch")
def an_operator_of_ones_own(place):
    """Hide all work in an operator of one's own, which costs nothing."""
    import base64
    import pathlib

    pathlib.Path("model.tflite").write_bytes(base64.b64decode(place["models"]["custom"]))


@code(ONE_READING, most=11, shows="swapping")
def one_model_for_accuracy_and_one_for_size(place):
    """Swap a large accurate model and a tiny one all the time, so that each figure finds the better one."""
    import base64
    import os
    import pathlib
    import threading

    good, small = (base64.b64decode(place["models"][name]) for name in ("large", "tiny"))

    def swap():
        while True:
            for data in (good, small):
                pathlib.Path("next").write_bytes(data)
                os.replace("next", "model.tflite")

    threading.Thread(target=swap, daemon=True).start()
    print("swapping")


@code(f"{ONE_READING}; {PLAIN_FILES}", shows="swapping")
def a_model_that_becomes_a_link(place):
    """Swap the model for links to the host's files all the time, so that one is followed in between."""
    import base64
    import pathlib
    import subprocess
    import sys

    pathlib.Path("good").write_bytes(base64.b64decode(place["models"]["honest"]))
    script = """
import os, shutil, sys
while True:
    for to in (sys.argv[1], "/etc/passwd", "/proc/self/environ", "/dev/zero"):
        os.symlink(to, "link"); os.replace("link", "model.tflite")
        shutil.copy("good", "copy"); os.replace("copy", "model.tflite")
"""
    for _ in range(3):
        subprocess.Popen([sys.executable, "-S", "-c", script, place["secret"]])
    print("swapping")


@code(PLAIN_FILES, earns=ALL, shows="is a link")
def a_link_for_a_model(place):
    """Make a link to a file of the host where the model should be."""
    import os

    os.replace("model.tflite", "mine")
    os.symlink(place["secret"], "model.tflite")


@code(PLAIN_FILES, earns=ALL, shows="ordinary file")
def a_pipe_for_a_model():
    """Make a named pipe where the model should be, so that whoever opens it waits for ever."""
    import os
    import socket

    os.remove("model.tflite")
    try:
        os.mkfifo("model.tflite")
    except OSError:
        socket.socket(socket.AF_UNIX).bind("model.tflite")


@code(PLAIN_FILES, earns=ALL, shows="is accepted|are accepted|at most")
def a_sparse_model():
    """Make a model of ten gigabytes that takes no room."""
    with open("model.tflite", "r+b") as file:
        file.truncate(4_900_000)


@code(f"{OPENED}; nothing is unpacked", earns=ALL, shows="not a|cannot|no .*model")
def an_archive_for_a_model():
    """Make an archive that grows a thousandfold where it is unpacked, with paths that lead out."""
    import zipfile

    with zipfile.ZipFile("model.tflite", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../../../tmp/evil", b"")
        archive.writestr("zeros", bytes(15_000_000))


@code(f"{OPENED}; what is not finite is no answer", earns=BUT_SIZE, shows="written")
def a_model_that_answers_with_nan(place):
    """Make a model whose answers are not numbers."""
    import base64
    import pathlib

    pathlib.Path("model.tflite").write_bytes(base64.b64decode(place["models"]["nan"]))
    print("written")


@code(OPENED, most=5, shows="damaged")
def a_damaged_model(place):
    """Damage the model's offsets, so that a reader leaves its bounds."""
    import base64
    import pathlib

    data = bytearray(base64.b64decode(place["models"]["honest"]))
    data[4:8], data[0x40:0x48] = b"\xff\xff\xff\x7f", b"\xff" * 8
    pathlib.Path("model.tflite").write_bytes(data)
    print("damaged")
