"""A kernel in a box, for anything that starts kernels through jupyter_client.

Name `coursekit-box` as the provisioner in a kernel's `kernel.json` (`metadata.kernel_provisioner.provisioner_name`) and
each such kernel runs in a box of its own, over unix sockets, without a network. Whoever talks to it through a client of
their own sees to the size of what it says. The kernel steps into an empty box; today it starts cold there, and a warm
one would enter the same way.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
from typing import Any

import msgspec
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from traitlets import Dict, Unicode

from coursekit.records import Limits
from coursekit.sandbox import open_box
from coursekit.sandbox.box import Box
from coursekit.sandbox.program import Module, Program, start

_PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5}
_KERNEL = "ipykernel_launcher"


class BoxProvisioner(KernelProvisionerBase):  # type: ignore[misc]
    """Starts a kernel in a box that it makes, and ends the box with the kernel."""

    sandbox = Unicode("bwrap", config=True, help="How boxes are made: bwrap, or none for work one trusts.")
    limits = Dict(config=True, help="Limits as in assignment.yaml; what is missing has the default.")
    zygote = Unicode(config=True, help="The socket of a warm interpreter that starts the kernel; cold without one.")
    files = Dict(help="Path below the working folder -> bytes: what lies there when the kernel starts.")

    box: Box | None = None
    program: Program | None = None

    @property
    def has_process(self) -> bool:
        """True from launch to cleanup."""
        return self.program is not None

    async def poll(self) -> int | None:
        """None while the kernel runs, else its exit status."""
        return self.program.poll() if self.program else 0

    async def wait(self) -> int | None:
        """The exit status of a kernel that is ending."""
        if self.program is not None:
            await asyncio.to_thread(self.program.process.wait)
        return await self.poll()

    async def send_signal(self, signum: int) -> None:
        """Only an end can be sent: anything less asks a hostile program for a favour."""
        if signum in (signal.SIGKILL, signal.SIGTERM):
            await self.kill()

    async def kill(self, restart: bool = False) -> None:  # noqa: ARG002 - named so by the base class
        """End the box and all in it."""
        if self.box is not None:
            self.box.close()

    async def terminate(self, restart: bool = False) -> None:
        """The same as kill."""
        await self.kill(restart)

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Make the box and say how the kernel is reached."""
        await self.cleanup()
        self.box = open_box(self.sandbox, msgspec.convert(self.limits, Limits))
        self._key = secrets.token_hex(32)
        self.connection_info = {
            **_PORTS,
            "transport": "ipc",
            "ip": f"{self.box.host_sockets}/k",
            "key": self._key.encode(),
            "signature_scheme": "hmac-sha256",
        }
        kwargs["env"] = {}
        launch: dict[str, Any] = await super().pre_launch(cmd=[_KERNEL], **kwargs)
        return launch

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002 - likewise
        """Step into the box and become the kernel."""
        if self.box is None:
            raise RuntimeError("pre_launch comes first")
        inside = {**self.connection_info, "ip": f"{self.box.sockets}/k", "key": self._key}
        connection_file = f"{self.box.sockets}/connection.json"
        files = {f"{self.box.work}/{path}": data for path, data in self.files.items()}
        files[connection_file] = json.dumps(inside).encode()
        kernel = Module(name=_KERNEL, arguments=("-f", connection_file), isolated=False)
        self.program = start(self.box, kernel, files, zygote=self.zygote)
        return self.connection_info

    async def cleanup(self, restart: bool = False) -> None:
        """Nothing of the box remains."""
        await self.kill(restart)
        if self.program is not None:
            self.program.close()
            self.program = None
