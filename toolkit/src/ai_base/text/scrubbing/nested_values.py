"""Strings inside a list or an object that follows the name of a secret: `"password": {"value": "x"}`."""

import re
from collections.abc import Callable

from ai_base.text.scrubbing.escapes import QUOTES

LONGEST = 4_000
"""Characters of a list or object that are read. Only the rules for forms apply to the rest."""
DEEPEST = 8

# Keys of JSON Schema: their values describe a field that is called `password`.
SCHEMA_KEYS = {
    *("$comment", "$id", "$ref", "$schema", "const", "contentEncoding", "contentMediaType", "description", "enum"),
    *("examples", "format", "loc", "msg", "pattern", "required", "title", "type"),
}
_STRING = {
    '"': r'"(?P<string>[^"\n]*)"',
    "'": r"'(?P<string>[^'\"\n]*)'",
    **{quote: rf'{quote}(?P<string>[^{quote}"\n]*){quote}' for quote in QUOTES.values()},
}
_TOKENS = {
    quote: re.compile(
        rf"""
        (?: {string} ) (?P<colon> \s*+ : )?
        | (?P<number> (?<![\w.]) -?[0-9]{{4,}} (?![\w.]) )
        | (?P<open> [\[{{(] )
        | (?P<close> [\]}})] )
        | (?P<other> " )
        """,
        re.VERBOSE,
    )
    for quote, string in _STRING.items()
}


def hide_strings(
    text: str, start: int, quote: str, label: str, is_innocent: Callable[[str], bool]
) -> tuple[int, str] | None:
    """Replace strings and long numbers between the bracket at `start` and the one that closes it.

    `quote` encloses the strings. With another `quote`, a double quote ends the JSON string around the whole.

    Returns:
        The offset after the last replaced string, and the new text up to there. None if nothing was replaced.
    """
    parts: list[str] = []
    done = start
    closed = False
    keys: list[str] = []  # the last key in each open bracket
    for token in _TOKENS[quote].finditer(text, start, min(len(text), start + LONGEST)):
        if token["other"] or (token["open"] and len(keys) == DEEPEST):
            break
        if token["open"]:
            keys.append("")
        elif token["close"]:
            keys.pop()
            if not keys:
                closed = True
                break
        elif token["colon"]:
            keys[-1] = token["string"]
        elif SCHEMA_KEYS.isdisjoint(keys):
            value = token["number"] or token["string"]
            if value and not is_innocent(value):
                parts += [text[done : token.start()], f"{quote}[{label}]{quote}"]
                done = token.start() + len(token[0])
    is_list = closed or quote == '"'  # in prose, a single bracket opens nothing
    return (done, "".join(parts)) if parts and is_list else None
