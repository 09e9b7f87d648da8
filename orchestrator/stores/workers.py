"""Who holds the lease of a run, and whether that process is still there."""

from __future__ import annotations

import os
import socket
from pathlib import Path

LEASE = 30.0
"""Seconds after which a worker that gave no sign of life is taken for dead."""


def new_owner() -> str:
    """The name of this process as a worker: where it runs, which process it is, and something that nobody else has."""
    return f"{_machine()}/{os.getpid()}/{_born(os.getpid())}/{os.urandom(6).hex()}"


def surely_dead(owner: str) -> bool:
    """True if this worker ran on this machine and its process is gone; of others only the lease can tell."""
    try:
        machine, pid, born, _ = owner.rsplit("/", 3)
        number = int(pid)
    except ValueError:
        return False
    if machine != _machine():
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return _born(number) != born


def alive(owner: str, until: float, now: float) -> bool:
    """True if a worker holds its lease, and may be at work."""
    return bool(owner) and until > now and not surely_dead(owner)


def shown(owner: str) -> str:
    """A worker for messages."""
    machine, pid, *_ = [*owner.rsplit("/", 3), "?", "?"]
    return f"process {pid} on {machine.partition(' ')[0]}"


def _machine() -> str:
    """This machine since it was last started: process numbers count only within that, and within one container."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        started = boot.read_text(encoding="ascii").strip()[:13]
        space = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()} {started} {space}"


def _born(pid: int) -> str:
    """When a process was started, as far as the system says: numbers of processes are used again."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
