"""The identity of a process that owns reservations, by which others can tell whether it is still alive."""

import os
import secrets
import socket
from functools import cache
from pathlib import Path


@cache
def _here() -> str:
    """Return the host name and, because containers may share it, the namespace of the process ids."""
    space = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()} {space.readlink() if space.is_symlink() else ''}"


@cache
def _token(_pid: int) -> str:
    return secrets.token_hex(8)


def owner() -> str:
    """Return the name of this process: `host:pid:token`. The token differs if the operating system reuses the pid."""
    return f"{_here()}:{os.getpid()}:{_token(os.getpid())}"


def is_dead(name: str) -> bool:
    """Return whether a process has certainly ended. False for a process of another host, which cannot be checked."""
    host, pid, token = name.rsplit(":", 2)
    if host != _here():
        return False
    if int(pid) == os.getpid():
        return token != _token(os.getpid())
    try:
        os.kill(int(pid), 0)
    except OSError as error:  # a process that may not be signalled is alive
        return isinstance(error, ProcessLookupError)
    return False
