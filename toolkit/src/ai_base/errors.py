"""The base of every error that a user of the application should read."""

from typing import ClassVar


class AIBaseError(Exception):
    """An expected failure; its message says what is wrong and what to do. Commands print it without a traceback."""

    exit_code: ClassVar[int] = 1
    """Exit code of a command that ends with this error."""
