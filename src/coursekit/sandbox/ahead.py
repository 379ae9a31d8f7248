"""What a process looks up before its first box and its first kernel; a warm one imports this, and its forks have it.

jupyter_client looks through every installed package for ways to start kernels, and a box needs to know what may be
read: both are the same for every submission.
"""

from __future__ import annotations

from jupyter_client.provisioning import KernelProvisionerFactory

from coursekit.sandbox import mounts

KernelProvisionerFactory.instance()
mounts.readable()
