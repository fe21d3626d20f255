"""The base of every error that a user of the application should read."""


class AIBaseError(Exception):
    """An expected failure; its message says what is wrong and what to do. The command line prints it, without trace."""
