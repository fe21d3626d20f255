"""Who holds what is unfinished: a process, named so that others can see whether it lives."""

import os
import secrets
import socket
from functools import cache
from pathlib import Path


@cache
def _here() -> str:
    """Name this host and, as containers may share its name, the space in which its process ids count."""
    space = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()} {space.readlink() if space.is_symlink() else ''}"


@cache
def _token(_pid: int) -> str:
    return secrets.token_hex(8)


def owner() -> str:
    """Name this process, for others to see whether it lives: `host:pid:token`, as a pid is used again."""
    return f"{_here()}:{os.getpid()}:{_token(os.getpid())}"


def is_dead(name: str) -> bool:
    """Tell whether a process has certainly ended; of another host's, nobody can tell."""
    host, pid, token = name.rsplit(":", 2)
    if host != _here():
        return False
    if int(pid) == os.getpid():
        return token != _token(os.getpid())
    try:
        os.kill(int(pid), 0)
    except OSError as error:  # one that may not be signalled lives
        return isinstance(error, ProcessLookupError)
    return False
