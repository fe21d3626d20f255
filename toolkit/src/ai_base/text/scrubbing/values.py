"""The value that belongs to a name, and constants that several forms share."""

from dataclasses import dataclass

from ai_base.text.scrubbing.rules import compile_verbose


@dataclass(frozen=True)
class Value:
    """A value to replace: its offsets in the text, and its replacement."""

    start: int
    end: int
    replacement: str


CREDENTIALS_LENGTH = 16
"""Shorter words without a digit are messages: `authorization: denied`."""

NUMBER = compile_verbose(r"""
    [A-Z]{0,3} (?: \+?[0-9(] | [ ][0-9] )
    (?: [ ./()\xa0\u2009\u202f-]{0,3} [0-9] ){4,15}
    (?: [ ]?(?:x|ext\.?)[ ]?[0-9]{1,6} | [ -]?[A-Z] )?
""")
"""A phone number or an id as people write it, with an extension or a check letter."""
