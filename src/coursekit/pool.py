"""Where many jobs run at once: as many as there are cores, unless told otherwise."""

from __future__ import annotations

import os
from concurrent.futures import Executor, ThreadPoolExecutor


def open_pool(jobs: int) -> Executor:
    """An executor for jobs that each wait for a process of their own; threads are enough to wait with."""
    return ThreadPoolExecutor(max_workers=jobs or cores(), thread_name_prefix="grading")


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0))
