"""Where many jobs run at once: the cores of this machine, or the workers of a dask scheduler.

A job waits for processes of its own, so threads are enough to wait with. `lane` keeps two jobs apart where one of them
is timed; `Cluster` is the room's other half, and the only place that knows dask.
"""

from __future__ import annotations

import os
from concurrent.futures import Executor, ThreadPoolExecutor

from coursekit.pool.lanes import Stop, Unwanted, lane

__all__ = ["Stop", "Unwanted", "cores", "lane", "open_pool"]


def open_pool(jobs: int) -> Executor:
    """An executor for jobs that each wait for a process of their own."""
    return ThreadPoolExecutor(max_workers=jobs or cores(), thread_name_prefix="grading")


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0))
