"""System calls that no program needs which only computes, refused by the kernel before they begin.

Each would leave a bound that is set elsewhere: more processes, memory that no limit counts (System V, memfd), the
network, other users' name spaces, or parts of the kernel in which most escapes were found. The filter is a program of
classic BPF (`linux/seccomp.h`), as bubblewrap takes it.
"""

from __future__ import annotations

import platform
import struct

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # EPERM for what is refused
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_X32 = 0x40000000
"""Numbers from here on are the same calls by another door."""

# Name: the number on x86_64 and on aarch64 (0: there is none).
_CALLS = {
    "clone": (56, 220), "fork": (57, 0), "vfork": (58, 0), "clone3": (435, 435), "execveat": (322, 281),
    "socket": (41, 198), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "shmget": (29, 194), "shmat": (30, 196),
    "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "bpf": (321, 280), "userfaultfd": (323, 282), "perf_event_open": (298, 241),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "fanotify_init": (300, 262), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "personality": (135, 92), "quotactl": (179, 60), "acct": (163, 89), "swapon": (167, 224), "swapoff": (168, 225),
    "reboot": (169, 142), "syslog": (103, 116), "move_pages": (279, 239), "mbind": (237, 235),
    "migrate_pages": (256, 238), "set_mempolicy": (238, 237), "iopl": (172, 0), "ioperm": (173, 0),
    "modify_ldt": (154, 0),
}  # fmt: skip


def refused(machine: str) -> list[int]:
    """The numbers of the calls that are refused on a kind of machine."""
    column = list(_ARCHITECTURES).index(machine)
    return [numbers[column] for numbers in _CALLS.values() if numbers[column]]


def known(machine: str | None = None) -> bool:
    """True if there is a filter for this kind of machine."""
    return (machine or platform.machine()) in _ARCHITECTURES


def program(machine: str | None = None) -> bytes:
    """The filter, for `bwrap --seccomp`. Calls of another architecture or by the x32 numbers end the program."""
    machine = machine or platform.machine()
    numbers = refused(machine)
    lines = [
        (_LOAD, 0, 0, 4),  # the architecture
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),  # the number of the call
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
        *((_EQUAL, len(numbers) - index, 0, number) for index, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
