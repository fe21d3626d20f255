"""The base of every error that a user of the application should read."""

from typing import ClassVar


class AIBaseError(Exception):
    """An expected failure; its message says what is wrong and what to do. The command line prints it, without trace."""

    exit_code: ClassVar[int] = 1
    """With which a command ends."""
