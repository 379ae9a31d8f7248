"""The system calls a box may not make, as a classic BPF program for the kernel.

A list of refusals, not of permissions: TensorFlow alone uses over a hundred calls. Refused is what reaches outside a
namespace, what hides memory from our accounting (memfd, System V memory) and what has had kernel holes (io_uring,
bpf, userfaultfd, keys). Families of sockets other than unix, inet, inet6 and route netlink are refused too: a network
namespace does not cut vsock. libzmq aborts without inet and netlink, so the namespace alone cuts those.

Source of the layout: linux/seccomp.h and linux/filter.h; call numbers from the kernel's own tables.
"""

from __future__ import annotations

import errno
import platform
import struct

from coursekit.errors import SandboxError

_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCH, _ARGUMENT_0, _ARGUMENT_2 = 0, 4, 16, 32  # offsets into struct seccomp_data, low words
_X32 = 0x40000000
_NEW_NAMESPACES = 0x7E020000 | 0x00000080  # every CLONE_NEW* flag
_FAMILIES = {"unix": 1, "inet": 2, "inet6": 10, "netlink": 16}

# name: (x86_64, aarch64); None where the call does not exist.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
# "No such call" makes the C library take its older way, where "not permitted" would be an error.
_ABSENT: dict[str, tuple[int, int]] = {
    "clone3": (435, 435),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "msgget": (68, 186),
    "semget": (64, 190),
    "shmget": (29, 194),
}
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_CLONE, _SOCKET = (56, 220), (41, 198)


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _refuse(error: int) -> bytes:
    return _op(_RETURN, _ERRNO | error)


def _socket_rules(number: int) -> list[bytes]:
    """Only four families, and of netlink only the routing protocol (0), which libzmq asks for interfaces."""
    rules = [
        _op(_LOAD, _ARGUMENT_0),
        _op(_JUMP_EQUAL, _FAMILIES["unix"], 6, 0),
        _op(_JUMP_EQUAL, _FAMILIES["inet"], 5, 0),
        _op(_JUMP_EQUAL, _FAMILIES["inet6"], 4, 0),
        _op(_JUMP_EQUAL, _FAMILIES["netlink"], 0, 2),
        _op(_LOAD, _ARGUMENT_2),
        _op(_JUMP_EQUAL, 0, 1, 0),
        _refuse(errno.EAFNOSUPPORT),
        _op(_RETURN, _ALLOW),
    ]
    return [_op(_JUMP_EQUAL, number, 0, len(rules)), *rules]


def _clone_rules(number: int) -> list[bytes]:
    """Processes and threads, but no new namespaces."""
    rules = [
        _op(_LOAD, _ARGUMENT_0),
        _op(_JUMP_SET, _NEW_NAMESPACES, 0, 1),
        _refuse(errno.EPERM),
        _op(_RETURN, _ALLOW),
    ]
    return [_op(_JUMP_EQUAL, number, 0, len(rules)), *rules]


def program(machine: str = "") -> bytes:
    """The filter for this kind of processor, as an array of `struct sock_filter` (8 bytes each)."""
    machine = machine or platform.machine()
    if machine not in _MACHINES:
        raise SandboxError(
            f"there is no system-call filter for a {machine} processor.", fix="grade on x86_64 or aarch64"
        )
    column, arch = _MACHINES[machine]
    ops = [
        _op(_LOAD, _ARCH),
        _op(_JUMP_EQUAL, arch, 1, 0),
        _op(_RETURN, _KILL),
        _op(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        ops += [_op(_JUMP_GREATER_EQUAL, _X32, 0, 1), _refuse(errno.ENOSYS)]
    for calls, error in ((_REFUSED, errno.EPERM), (_ABSENT, errno.ENOSYS)):
        for numbers in calls.values():
            number = numbers[column]
            if number is not None:
                ops += [_op(_JUMP_EQUAL, number, 0, 1), _refuse(error)]
    ops += _clone_rules(_CLONE[column])
    ops += _socket_rules(_SOCKET[column])
    ops.append(_op(_RETURN, _ALLOW))
    return b"".join(ops)
