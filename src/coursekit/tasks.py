"""What passes between the grader and its trusted pytest process: a task, and what was found.

Both lie in files that only the grader can read, and are decoded like anything from outside.
"""

from __future__ import annotations

import msgspec

from coursekit.records import Assignment, Check, Record, Run, SandboxName


class Zygotes(Record, frozen=True, kw_only=True):
    """Sockets of warm interpreters, by what their forks become; empty for a cold start."""

    kernels: str = ""
    programs: str = ""
    """Programs of our own in a box, which open models."""
    examinations: str = ""
    """Trusted pytest processes."""


class Task(Record, frozen=True, kw_only=True):
    """What a trusted pytest process is asked to do with one submission. It lies in a file only the grader can read."""

    assignment: Assignment
    student: str
    notebook: str
    """Path of the restored notebook; empty when there is none that could be run."""
    refusal: str = ""
    """Why there is none, as a sentence for the student."""
    submission: str
    """Path of the folder that was handed in; only bytes are read from it."""
    files: dict[str, str]
    """Path in the working folder of the box -> path here: what the notebook may read."""
    checks: tuple[str, ...]
    """Folders and files with checks, public first."""
    hidden: str
    """Folder of the hidden checks; empty when a student checks their own work."""
    profiles: tuple[str, ...] = ()
    """Folders with profiles beside those of the package."""
    seed: str
    sandbox: SandboxName
    zygotes: Zygotes = Zygotes()
    out: str
    """Folder for `examination.json` and the executed notebook."""
    watched: dict[str, tuple[dict[str, str], tuple[str, ...]]] = msgspec.field(default_factory=dict)
    """Grade id of a cell with tests of its own -> their tools (name there -> what it is), and phrases students know."""
    hidden_from: int = 0
    """Number of the first code cell, from 1, that holds tests which students do not have; 0 if none does."""
    run_key: str = ""
    """What the run is kept under; empty if it is not to be kept."""
    kept: str = ""
    """Path of a kept run that may stand for this one, if its key is the same."""


class Examination(Record, frozen=True, kw_only=True):
    """What the trusted pytest process brings back."""

    run: Run
    checks: tuple[Check, ...]
    broken: str = ""
    """Why the machine or the grader could not do its work; empty when it could."""
    ran: bool = False
    """Whether the notebook was run for it, and not taken up from a kept run."""
    machine: bool = False
    """Whether something broke because of the machine, so that another may do better."""
