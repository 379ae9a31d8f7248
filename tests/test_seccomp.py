"""The system-call filter, run by an interpreter of its language instead of the kernel."""

from __future__ import annotations

import errno
import platform
import struct

import pytest

from coursekit.errors import SandboxError
from coursekit.sandbox import seccomp

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
BOTH = pytest.mark.parametrize("machine", sorted(ARCH))


def decide(program, number, arguments=(), arch=0):
    """What a classic BPF program returns for `struct seccomp_data`: only the instructions that the filter uses."""
    padded = (*arguments, *[0] * 6)[:6]
    data = struct.pack("<iIQ6Q", number, arch, 0, *padded)
    at = value = 0
    while True:
        code, if_true, if_false, k = struct.unpack_from("<HBBI", program, 8 * at)
        at += 1
        if code == 0x20:
            (value,) = struct.unpack_from("<I", data, k)
        elif code == 0x06:
            return k
        else:
            jumps = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[code]
            at += if_true if jumps else if_false


def ask(machine, x86_64, aarch64, *arguments):
    """What the filter for this machine says to a call with these numbers."""
    number = {"x86_64": x86_64, "aarch64": aarch64}[machine]
    return decide(seccomp.program(machine), number, arguments, ARCH[machine])


@BOTH
@pytest.mark.parametrize(
    ("x86_64", "aarch64"),
    [(0, 63), (1, 64), (9, 222), (59, 221), (202, 98), (257, 56), (42, 203), (231, 94), (334, 293)],
    ids=["read", "write", "mmap", "execve", "futex", "openat", "connect", "exit_group", "rseq"],
)
def test_ordinary_calls_are_allowed(machine, x86_64, aarch64):
    assert ask(machine, x86_64, aarch64) == ALLOW


@BOTH
@pytest.mark.parametrize(
    ("x86_64", "aarch64"),
    [
        (165, 40),
        (272, 97),
        (308, 268),
        (101, 117),
        (321, 280),
        (425, 425),
        (250, 219),
        (298, 241),
        (323, 282),
        (259, 33),
        (304, 265),
        (310, 270),
        (428, 428),
        (161, 51),
    ],
    ids=[
        *("mount", "unshare", "setns", "ptrace", "bpf", "io_uring_setup", "keyctl", "perf_event_open", "userfaultfd"),
        *("mknodat", "open_by_handle_at", "process_vm_readv", "open_tree", "chroot"),
    ],
)
def test_calls_that_reach_out_are_not_permitted(machine, x86_64, aarch64):
    assert ask(machine, x86_64, aarch64) == ERRNO | errno.EPERM


@BOTH
@pytest.mark.parametrize(
    ("x86_64", "aarch64"),
    [(319, 279), (435, 435), (29, 194), (64, 190), (68, 186), (447, 447)],
    ids=["memfd_create", "clone3", "shmget", "semget", "msgget", "memfd_secret"],
)
def test_calls_that_hide_memory_or_flags_do_not_exist(machine, x86_64, aarch64):
    assert ask(machine, x86_64, aarch64) == ERRNO | errno.ENOSYS


@BOTH
@pytest.mark.parametrize("flag", [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000])
def test_clone_makes_no_namespaces(machine, flag):
    assert ask(machine, 56, 220, flag | 17) == ERRNO | errno.EPERM


@BOTH
@pytest.mark.parametrize("flags", [17, 0x3D0F00, 0x4111])
def test_clone_makes_processes_and_threads(machine, flags):
    assert ask(machine, 56, 220, flags) == ALLOW


@BOTH
@pytest.mark.parametrize("family", range(48))
def test_sockets_are_of_four_families_only(machine, family):
    expected = ALLOW if family in (1, 2, 10, 16) else ERRNO | errno.EAFNOSUPPORT
    assert ask(machine, 41, 198, family, 1, 0) == expected


@BOTH
@pytest.mark.parametrize("protocol", range(1, 24))
def test_netlink_is_for_routes_only(machine, protocol):
    assert ask(machine, 41, 198, 16, 3, protocol) == ERRNO | errno.EAFNOSUPPORT


@BOTH
def test_high_bits_of_a_family_change_nothing(machine):
    assert ask(machine, 41, 198, 40 | 1 << 32) == ERRNO | errno.EAFNOSUPPORT


@BOTH
@pytest.mark.parametrize("arch", [0x40000003, 0x40000028, 0])
def test_a_foreign_architecture_is_killed(machine, arch):
    assert decide(seccomp.program(machine), 1, (), arch) == KILL


def test_the_other_machine_is_foreign_too():
    assert decide(seccomp.program("x86_64"), 64, (), ARCH["aarch64"]) == KILL


@pytest.mark.parametrize("number", [0x40000000, 0x40000000 | 520, 0x7FFFFFFF])
def test_x32_calls_do_not_exist(number):
    assert decide(seccomp.program("x86_64"), number, (), ARCH["x86_64"]) == ERRNO | errno.ENOSYS


@BOTH
def test_every_call_gets_a_decision(machine):
    program = seccomp.program(machine)
    decisions = {decide(program, number, (), ARCH[machine]) for number in range(600)}
    assert decisions == {ALLOW, *(ERRNO | each for each in (errno.EPERM, errno.ENOSYS, errno.EAFNOSUPPORT))}


def test_no_name_means_this_machine():
    assert seccomp.program() == seccomp.program(platform.machine())


def test_a_processor_without_a_filter_is_said():
    with pytest.raises(SandboxError, match="riscv64"):
        seccomp.program("riscv64")
