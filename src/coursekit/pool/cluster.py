"""A dask scheduler's workers, as a place where jobs run: bytes go out, bytes come back.

One coroutine per job supervises it. A job that breaks because of its machine, or does not come back in time, is given
to another worker; dask itself gives a job of a worker that died to another. What a job answers is never judged here.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import hashlib
import itertools
import re
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from coursekit.errors import MachineError, ToolError

if TYPE_CHECKING:
    from distributed import Client, Future, Worker

MOST_TRIES = 3
"""How often a job is begun that a machine breaks."""
MOST_LATE = 2
"""How often one is begun that does not come back."""
EXCLUSIVE = "exclusive"
"""The resource of a worker that may time things; each has one at most."""

_ADDRESS = "correct the address: tcp://HOST:PORT or tls://HOST:PORT"
_CONNECT_SECONDS = 30.0
_FAREWELL_SECONDS = 20.0
_MOST_WAITING_BYTES = 500_000_000
"""What lies at the scheduler at once, and so in its memory and in ours."""


class Lost(Exception):
    """No worker brought an answer; this says why, as a sentence for the instructor."""


class Post(NamedTuple):
    """Where a job finds itself on a worker."""

    stop: threading.Event
    """Set when nobody waits for the answer any more."""
    folder: Path
    """Where a worker keeps what is its own; dask clears it away, even after a worker that was killed."""
    begin: Callable[[], None]
    """To be called when the work begins; time is counted from here."""


Work = Callable[[bytes, bytes, Post], tuple[bytes, str]]
"""A function in a module: what all jobs share, what this one is about -> the answer, and what the machine lacks."""


class Cluster:
    """The workers behind one address, for jobs of one kind. Raises MachineError if nobody answers there."""

    def __init__(self, address: str, work: Work, shared: bytes, *, seconds: float, exclusive: bool) -> None:
        self._client, self.address = _connected(address), address
        self._work, self._seconds = work, seconds
        self._resources = {EXCLUSIVE: 1} if exclusive else None
        self._run = f"coursekit-{uuid.uuid4().hex}"
        self._begun: dict[str, Callable[[str], None]] = {}
        self._numbers = itertools.count()
        self._waiting_bytes, self._room = 0, asyncio.Condition()
        self._client.subscribe_topic(self._run, self._hear)
        # A task of its own: dask takes it from worker to worker, and makes it again should all that have it die.
        key = f"coursekit-plan-{hashlib.sha256(shared).hexdigest()}"
        self._shared: Future = self._client.submit(_same, shared, key=key)

    # --- asking ---------------------------------------------------------------------------------------------------

    def ask(self, function: Callable[..., str], *arguments: Any) -> dict[str, str]:
        """What every worker that is there answers. Raises ToolError if one cannot even import the function."""
        try:
            return dict(self._client.run(function, *arguments))
        except ImportError as error:
            fix = "install coursekit with the same extras in the environment of its workers and its scheduler"
            raise ToolError(f"a worker cannot import '{error.name}'.", where=self.address, fix=fix) from error

    def timers(self) -> int | None:
        """How many of the workers may time things; None where there is no worker yet."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return sum(EXCLUSIVE in worker["resources"] for worker in workers) if workers else None

    # --- working --------------------------------------------------------------------------------------------------

    def submit(
        self, name: str, pack: Callable[[], bytes], begun: Callable[[], None]
    ) -> concurrent.futures.Future[bytes]:
        """Have a job done; `pack` is called when there is room for what it gives, `begun` whenever a worker begins.

        First come, first served; without a priority dask takes what comes within moments in any order.
        The future holds the answer, Lost, or MachineError when the scheduler is gone. Cancelling it ends the job.
        """
        attending = self._attend(f"{self._run}-{name}", next(self._numbers), pack, begun)
        return asyncio.run_coroutine_threadsafe(attending, self._client.loop.asyncio_loop)

    async def _attend(self, name: str, number: int, pack: Callable[[], bytes], begun: Callable[[], None]) -> bytes:
        """See one job through."""
        from distributed.scheduler import KilledWorker  # noqa: PLC0415 - most graders have no dask

        data = await self._packed(pack)
        answer, why, late, refused = b"", "", 0, set[str]()
        try:
            for turn in range(MOST_TRIES):
                try:
                    answer, why = await self._turn(f"{name}-{turn}", number, data, begun, refused)
                except TimeoutError:
                    late, why = late + 1, f"no worker brought it back within {self._seconds:,.0f} seconds"
                except KilledWorker as error:
                    why = f"{error.allowed_failures + 1} workers ended while they graded it"
                    break  # dask has tried it elsewhere as often
                except Exception as error:  # noqa: BLE001 - whatever was raised there
                    self._refuse_if_gone(error)
                    why = f"a worker could not grade it: {type(error).__name__}: {error}"
                if not why or late >= MOST_LATE:
                    break
        finally:
            async with self._room:
                self._waiting_bytes -= len(data)
                self._room.notify_all()
        if not answer:
            raise Lost(why)
        return answer

    async def _packed(self, pack: Callable[[], bytes]) -> bytes:
        """The job's bytes, once there is room for them; one job at a time, in the order in which they came."""
        async with self._room:
            await self._room.wait_for(lambda: self._waiting_bytes < _MOST_WAITING_BYTES)
            data = await asyncio.to_thread(pack)
            self._waiting_bytes += len(data)
            return data

    async def _turn(
        self, key: str, number: int, data: bytes, begun: Callable[[], None], refused: set[str]
    ) -> tuple[bytes, str]:
        """Have it done once, by a worker that has not failed it yet if there is one; TimeoutError if it is late."""
        others = set(await self._client.nthreads()) - refused if refused else set()
        where = {"workers": sorted(others), "allow_other_workers": True} if others else {}
        words = (self._work, self._shared, data, self._run, key)
        how = {"pure": False, "resources": self._resources, "priority": -number}
        future = self._client.submit(_job, *words, key=key, **how, **where)
        at: list[str] = []
        try:
            async with asyncio.timeout(None) as limit:
                loop = asyncio.get_running_loop()

                def hear(worker: str) -> None:
                    at[:] = [worker]
                    limit.reschedule(loop.time() + self._seconds)
                    begun()

                self._begun[key] = hear
                answered: tuple[bytes, str] = await future
                return answered
        finally:
            refused.update(at)
            del self._begun[key]
            if future.done():
                future.release()
            else:
                with suppress(Exception):  # the scheduler may be what is gone
                    await future.cancel()

    def _hear(self, event: tuple[float, dict[str, str]]) -> None:
        said = event[1]
        if said["job"] in self._begun:
            self._begun[said["job"]](said["worker"])

    def _refuse_if_gone(self, error: Exception) -> None:
        if getattr(error, "reason", "") == "scheduler-connection-lost" or self._client.status != "running":
            raise MachineError(
                "the connection to the scheduler was lost.",
                where=self.address,
                fix="see that it runs, and grade again: what was finished is kept",
            ) from error

    # --- ending ---------------------------------------------------------------------------------------------------

    def close(self, farewell: Callable[..., None], *arguments: Any) -> None:
        """Leave the workers, after each has called a last function; one that does not answer is left as it is."""
        with suppress(Exception):
            self._client.sync(
                self._client.run, farewell, *arguments, on_error="ignore", callback_timeout=_FAREWELL_SECONDS
            )
        with suppress(Exception):
            self._client.close(timeout=_FAREWELL_SECONDS)


def _connected(address: str) -> Client:
    try:
        import dask  # noqa: PLC0415 - most graders have none
        from distributed import Client, Security  # noqa: PLC0415
    except ModuleNotFoundError as error:
        fix = "pip install 'coursekit[scale]'"
        raise ToolError(f"the package '{error.name}' is not installed.", where=address, fix=fix) from error
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "10 GB"})  # a submission may be large
    # What dask would refuse only after it has begun to connect, and then take a minute to let go of.
    if not re.fullmatch(r"(tcp|tls)://(\[[0-9A-Fa-f:.%\w]+\]|[^\s:/\[\]]+):[0-9]{1,5}", address):
        raise MachineError("this is no address of a scheduler.", where=address, fix=_ADDRESS)
    if address.startswith("tls:") and Security().get_connection_args("client").get("ssl_context") is None:
        fix = "set distributed.comm.tls.ca-file, client.cert and client.key there"
        raise MachineError("dask's configuration names no certificates for tls.", where=address, fix=fix)
    try:
        return Client(address, timeout=_CONNECT_SECONDS, set_as_default=False, name="coursekit")
    except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        fix = f"start one with `dask scheduler`, or {_ADDRESS}"
        raise MachineError(f"no dask scheduler answers: {said}.", where=address, fix=fix) from error


# --- on a worker ------------------------------------------------------------------------------------------------------


def _same(data: bytes) -> bytes:
    """What all jobs share, as a task."""
    return data


def _job(work: Work, shared: bytes, data: bytes, topic: str, job: str) -> tuple[bytes, str]:
    from distributed import get_worker  # noqa: PLC0415 - most graders have no dask

    worker = get_worker()

    def begin() -> None:
        worker.log_event(topic, {"job": job, "worker": worker.address})

    return work(shared, data, Post(_Forgotten(worker, job), Path(worker.local_directory), begin))


class _Forgotten(threading.Event):
    """Set once the scheduler does not want this job of its worker any more: it was cancelled, or its grader is gone."""

    def __init__(self, worker: Worker, job: str) -> None:
        super().__init__()
        self._worker, self._job = worker, job

    def is_set(self) -> bool:
        task = self._worker.state.tasks.get(self._job)
        return task is None or task.state in ("cancelled", "resumed", "released", "forgotten")
