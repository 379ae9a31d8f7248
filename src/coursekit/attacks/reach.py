"""Attacks that reach for the network, for files and processes of the machine, and for rights."""

from __future__ import annotations

from coursekit.attacks.kinds import code

NETWORK = "a network namespace of its own, with nothing in it but its own loopback"
FILES = "a mount namespace with an allow-list of files"
PROCESSES = "a process namespace of its own"
ENVIRONMENT = "an environment made for the box"
FILTER = "a filter of system calls"
RIGHTS = "no capability, and no way to gain one"


# --- the network ------------------------------------------------------------------------------------------------------


@code(NETWORK)
def tcp_to_the_host(place, attempt):
    """Connect to a service on the grader's machine, over IPv4 and IPv6."""
    import socket

    for address in ("127.0.0.1", "::1"):
        attempt(address, lambda address=address: socket.create_connection((address, place["port"]), 2))


@code(NETWORK, shows=r"nobody answered")
def udp_to_the_host(place):
    """Send datagrams to a service on the grader's machine."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(0.3)
        try:
            sender.sendto(b"a hidden input", ("127.0.0.1", place["port"]))
            print("SUCCEEDED", sender.recv(100))
        except OSError as error:
            print("nobody answered:", type(error).__name__)


@code(NETWORK)
def names_of_hosts(attempt):
    """Ask for the address of a host by its name."""
    import socket

    attempt("a name", lambda: socket.getaddrinfo("grader.invalid", 80))


@code(NETWORK, shows=r"interfaces: \['lo'\], routes: 0")
def interfaces():
    """Look for a network interface or a route that leads out."""
    import pathlib
    import socket

    routes = pathlib.Path("/proc/net/route").read_text().splitlines()[1:]
    print("interfaces:", [name for _, name in socket.if_nameindex()], end=", ")
    print("routes:", len(routes))


@code(FILTER, shows=r"families: \[1, 2, 10, 16\]")
def families_of_sockets():
    """Open a socket of every family that the kernel may know, such as vsock, packet and bluetooth."""
    import socket

    opened = set()
    for family in range(64):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            try:
                socket.socket(family, kind).close()
            except OSError:
                continue
            opened.add(family)
    print("families:", sorted(opened))


@code(f"{RIGHTS}; {FILTER}")
def raw_sockets(attempt):
    """Open raw sockets, and netlink sockets beyond the one for routes."""
    import socket

    attempt("raw IPv4", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    attempt("raw IPv6", lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6))
    for protocol in (4, 9, 12, 15, 16):
        attempt(f"netlink {protocol}", lambda protocol=protocol: socket.socket(16, socket.SOCK_RAW, protocol))


@code(NETWORK)
def abstract_sockets_of_the_host(place, attempt):
    """Connect to an abstract unix socket, which no file system keeps in."""
    import socket

    with socket.socket(socket.AF_UNIX) as sender:
        attempt("abstract", lambda: sender.connect("\0" + place["abstract"]))


# --- files ------------------------------------------------------------------------------------------------------------


@code(FILES)
def files_of_the_host(place, attempt):
    """Read a file of the grader's, the list of passwords, keys and the host's logs."""
    import pathlib

    for path in (place["secret"], "/etc/shadow", "/root/.ssh/id_rsa", "/var/log/syslog", "/etc/hostname"):
        attempt(path, pathlib.Path(path).read_bytes)


@code(FILES)
def hidden_checks(place, attempt):
    """Read the hidden checks, the hidden data and the secret seed."""
    import pathlib

    folder = pathlib.Path(place["course"], "autograder", place["name"])
    attempt("the folder", lambda: list(folder.iterdir()))
    for name in (f"test_{place['name']}.py", ".seed", "../vault/hidden.py"):
        attempt(name, (folder / name).read_bytes)


@code(FILES)
def other_submissions(place, attempt):
    """Read and change what another student handed in, and their score."""
    import pathlib

    course, name = pathlib.Path(place["course"]), place["name"]
    attempt("their notebook", (course / "submitted" / "honest" / name / f"{name}.ipynb").read_bytes)
    attempt("their score", lambda: (course / "scores" / "honest" / name / "score.json").write_text("{}"))


@code(FILES)
def the_gradebook(place, attempt):
    """Open, change and delete the class's gradebook."""
    import pathlib
    import sqlite3

    file = pathlib.Path(place["course"], "gradebook.db")
    attempt(
        "open", lambda: sqlite3.connect(f"file:{file}?mode=rw", uri=True).execute("UPDATE grade SET auto_score = 9")
    )
    attempt("delete", file.unlink)


@code(FILES)
def a_walk_through_the_file_system(place, attempt):
    """Look for the course, its gradebook and its hidden checks anywhere in the file system."""
    import os
    import sys

    wanted = {"autograder", "submitted", "gradebook.db", ".seed", "task.json", "examination.json"}
    known = {"/proc", "/sys", "/usr", sys.prefix, sys.base_prefix}  # the kernel's, the system's, the interpreter's

    def look():
        for folder, folders, files in os.walk("/"):
            for name in wanted.intersection([*folders, *files]):
                return os.path.join(folder, name)
            folders[:] = [name for name in folders if os.path.join(folder, name) not in known]
        raise FileNotFoundError("none of them is anywhere")

    attempt("a walk", look)


@code(FILES)
def roots_of_other_processes(place, attempt):
    """Leave through the roots, folders and open files of other processes in /proc."""
    import os

    for pid in filter(str.isdigit, os.listdir("/proc")):
        for door in ("root", "cwd", "fd/3"):
            attempt(f"{pid}/{door}", lambda p=f"/proc/{pid}/{door}": open(f"{p}/{place['course']}/autograder"))


@code("files bound read-only", shows=r"REFUSED")
def writing_outside(place, attempt):
    """Write to the system, to the interpreter's packages and to the course, where a later run would obey it."""
    import pathlib
    import sys
    import sysconfig

    packages = sysconfig.get_path("purelib")
    for folder in ("/", "/usr/lib", "/etc", "/dev", "/run", packages, f"{sys.base_prefix}/bin", place["course"]):
        attempt(folder, lambda folder=folder: pathlib.Path(folder, "coursekit.pth").write_text("import os"))


@code("descriptors that were not closed are none", shows=r"open: \[\]")
def inherited_descriptors():
    """Find files and sockets of the grader that the box inherited."""
    import os

    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            to = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if to.startswith("/") and not to.startswith(("/dev/", "/proc/", "/home/student", "/tmp", "/run/kernel")):
            found.append(to)
    print("open:", found)


# --- processes --------------------------------------------------------------------------------------------------------


@code(ENVIRONMENT, shows=r"variables: \d+")
def the_graders_environment():
    """Print every variable in every environment that can be read, the first process's too."""
    import os
    import pathlib

    said = [str(dict(os.environ))]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            said.append(pathlib.Path("/proc", pid, "environ").read_text())
        except OSError as error:
            said.append(type(error).__name__)
    print("variables:", len(os.environ), said)


@code(PROCESSES, shows=r"processes: [1-9]\b")
def processes_of_the_host(place):
    """List the processes of the host, with the paths in their command lines."""
    import os
    import pathlib

    pids = [pid for pid in os.listdir("/proc") if pid.isdigit()]
    print("processes:", len(pids))
    for pid in pids:
        words = pathlib.Path("/proc", pid, "cmdline").read_bytes()
        if place["course"].encode() in words or place["temporary"].encode() in words:
            print("SUCCEEDED", words)


@code(f"{PROCESSES}; {FILTER}")
def memory_of_the_grader(attempt):
    """Read the memory of whoever is above in the tree of processes, by /proc, by ptrace and by process_vm_readv."""
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)

    def call(name, *arguments):
        if getattr(libc, name)(*arguments) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    attempt("mem", lambda: open(f"/proc/{os.getppid()}/mem", "rb").read(1))
    attempt("ptrace", lambda: call("ptrace", 16, os.getppid(), None, None))
    attempt("process_vm_readv", lambda: call("process_vm_readv", os.getppid(), None, 0, None, 0, 0))
    attempt("pidfd_getfd", lambda: call("syscall", 438, 0, 0, 0))


@code(PROCESSES, stops="ended by itself", earns={"five": 0, "arrays": 0, "again": 0})
def signals_to_everybody():
    """Send signals to every process that there is, which ends one's own box and nobody else's."""
    import os
    import signal

    for number in (signal.SIGTERM, signal.SIGKILL):
        for target in (1, os.getppid(), -1):
            try:
                os.kill(target, number)
            except OSError as error:
                print("REFUSED", target, error, flush=True)


@code(FILES)
def sockets_of_the_grader(place, attempt):
    """Connect to the warm interpreters, which would fork for whoever asks, and to other services by their paths."""
    import glob
    import socket

    paths = glob.glob(f"{place['temporary']}/coursekit-*/*") or [f"{place['temporary']}/coursekit-warm-x/zygote"]
    for path in (*paths, place["socket"], "/run/docker.sock", "/run/dbus/system_bus_socket"):
        attempt(path, lambda path=path: socket.socket(socket.AF_UNIX).connect(path))


# --- rights -----------------------------------------------------------------------------------------------------------


@code(f"{FILTER}; {RIGHTS}")
def new_namespaces(attempt):
    """Make namespaces in which one would be root: by unshare, clone, clone3 and setns."""
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)

    def call(*arguments):
        if libc.syscall(*arguments) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    machine = os.uname().machine
    unshare, clone, setns = (272, 56, 308) if machine == "x86_64" else (97, 220, 268)
    for flag in (0x10000000, 0x00020000, 0x40000000, 0x20000000):
        attempt(f"unshare {flag:x}", lambda flag=flag: call(unshare, flag))
        attempt(f"clone {flag:x}", lambda flag=flag: call(clone, flag | 17, 0, 0, 0, 0))
    attempt("clone3", lambda: call(435, 0, 88))
    attempt("setns", lambda: call(setns, os.open("/proc/1/ns/net", os.O_RDONLY), 0))


@code(f"{FILTER}; {RIGHTS}")
def mounts(attempt):
    """Mount something over the box, by the old calls and by the new ones."""
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)

    def call(*arguments):
        if libc.syscall(*arguments) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    machine = os.uname().machine
    mount, umount, pivot, chroot = (165, 166, 155, 161) if machine == "x86_64" else (40, 39, 41, 51)
    attempt("mount", lambda: call(mount, b"none", b"/tmp", b"tmpfs", 0, None))
    attempt("remount", lambda: call(mount, None, b"/", None, 32, None))
    attempt("umount", lambda: call(umount, b"/home/student", 2))
    attempt("pivot_root", lambda: call(pivot, b"/tmp", b"/tmp"))
    attempt("chroot", lambda: call(chroot, b"/tmp"))
    for name, number in {"open_tree": 428, "move_mount": 429, "fsopen": 430, "mount_setattr": 442}.items():
        attempt(name, lambda number=number: call(number, -100, b"/", 0, 0, 0))


@code(f"{FILTER}; {RIGHTS}")
def devices(attempt):
    """Make device files, and open the kernel's and the disks'."""
    import os

    attempt("mknod", lambda: os.mknod("sda", 0o60600, os.makedev(8, 0)))
    for path in ("/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/sda", "/dev/vda", "/dev/fuse", "/dev/net/tun", "/dev/tty"):
        attempt(path, lambda path=path: open(path, "rb"))


@code("no new privileges, in the kernel")
def programs_that_are_set_to_root(attempt):
    """Become root by a program that is set to it, such as su and mount."""
    import os
    import pathlib
    import subprocess

    def gain():
        for name in ("su", "mount", "newgrp", "passwd", "chsh", "sudo", "pkexec", "fusermount3"):
            if pathlib.Path("/usr/bin", name).is_file():
                subprocess.run([f"/usr/bin/{name}", "--help"], capture_output=True, check=False)
        status = pathlib.Path("/proc/self/status").read_text()
        os.setuid(0)
        return status

    attempt("root", gain)


@code(FILTER)
def calls_with_a_history(attempt):
    """Use the system calls that most holes in kernels were found in: bpf, io_uring, userfaultfd, keys, perf."""
    import ctypes
    import errno
    import os

    libc = ctypes.CDLL(None, use_errno=True)

    def call(*arguments):
        libc.syscall(*arguments)
        if ctypes.get_errno() in (errno.EPERM, errno.ENOSYS):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return ctypes.get_errno()  # the kernel has looked at what it was given

    x86 = {"bpf": 321, "io_uring_setup": 425, "userfaultfd": 323, "add_key": 248, "keyctl": 250, "perf": 298}
    arm = {"bpf": 280, "io_uring_setup": 425, "userfaultfd": 282, "add_key": 217, "keyctl": 219, "perf": 241}
    for name, number in (x86 if os.uname().machine == "x86_64" else arm).items():
        attempt(name, lambda number=number: call(number, 0, 0, 0, 0, 0))
