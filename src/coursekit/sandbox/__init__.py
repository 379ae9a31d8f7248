"""Boxes: where code and models that strangers made are run.

`open_box` makes an empty one, `runner` runs modules of our own in fresh ones (that is how hostile models are opened),
`kernel.Kernel` runs a notebook in one, `probe.probe` tries whether a box holds what it promises. This room alone knows
bubblewrap, and jupyter_client.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from coursekit.errors import SandboxError
from coursekit.records import Finished, Limits, RunInside
from coursekit.sandbox.box import Box, closing
from coursekit.sandbox.bwrap import BwrapBox
from coursekit.sandbox.program import ENVIRONMENT, Module, run
from coursekit.sandbox.unboxed import UnboxedBox
from coursekit.warm import Zygote

__all__ = ["Box", "Limits", "Zygote", "kernels", "open_box", "programs", "require", "runner"]

_MODULE_SECONDS = 60.0
_PAGE = 4096
"""What a file in memory may take beyond its size."""
_STEP = "coursekit.sandbox.stepping:step"
_KERNEL = (
    "ipykernel.kernelapp",
    "ipykernel.zmqshell",
    "ipykernel.ipkernel",
    "ipykernel.debugger",
    "debugpy.server.api",
    "tornado.platform.asyncio",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "faulthandler",
    "coursekit.sandbox.answer",
)
"""What a kernel imports before its first cell."""
_TRACED = "coursekit.sandbox.traced"


def open_box(name: str, limits: Limits) -> Box:
    """An empty box. The thread that calls this must live as long as the box. Raises SandboxError with the remedy."""
    if name == "bwrap":
        return BwrapBox(limits)
    if name == "none":
        return UnboxedBox(limits)
    raise SandboxError(f"there is no sandbox called '{name}'.", fix="use bwrap or none")


def require(name: str) -> None:
    """Make one box and run a program in it, so that a machine without a sandbox is told so before any work begins."""
    with closing(open_box(name, Limits())) as box:
        finished = run(box, ["/bin/true"], {}, seconds=20)
    if finished.returncode != 0:
        how = finished.stopped or f"status {finished.returncode}"
        raise SandboxError(f"/bin/true ended with {how} in a box, so nothing can be run safely here.")


def runner(name: str, limits: Limits, seconds: float = _MODULE_SECONDS, zygote: str = "") -> RunInside:
    """A RunInside that makes a fresh box for each run, warm where there is a zygote.

    Files that it has no room for are a limit that ends it.
    """

    def run_module(words: Sequence[str], files: Mapping[str, bytes]) -> Finished:
        if sum(map(len, files.values())) > limits.disk_bytes - _PAGE * len(files):
            stopped = f"the limit of {limits.disk_bytes:,} bytes of files"
            return Finished(returncode=-9, stdout=b"", stderr=b"", stopped=stopped)
        with closing(open_box(name, limits)) as box:
            inside = {f"{box.work}/{file}": data for file, data in files.items()}
            module = Module(name=words[0], arguments=tuple(words[1:]))
            return run(box, module, inside, seconds=seconds, zygote=zygote)

    return run_module


def kernels(preload: Sequence[str]) -> Zygote:
    """A warm interpreter that becomes kernels: it has imported these modules and IPython's kernel."""
    return Zygote(_STEP, [*_KERNEL, *preload, _TRACED], ENVIRONMENT)


def programs(preload: Sequence[str]) -> Zygote:
    """A warm interpreter that becomes programs of our own, such as those that open models."""
    return Zygote(_STEP, preload, ENVIRONMENT)
