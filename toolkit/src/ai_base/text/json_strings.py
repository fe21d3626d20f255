"""Strings in the JSON that language models write: any quotes, invalid escapes, raw line breaks and code fences."""

import json
import re
from typing import Any

MOST_LEVELS = 100
"""Of lists and objects inside each other. Readers of JSON take some 200."""

FENCE = re.compile(r"[ \t]*```")
"""A code fence, from the beginning of its line."""

QUOTES = {
    '"': '"',
    "'": "'",
    "“": "”",
    "”": "”",
    "„": "“”",
    "‘": "’",
    "’": "’",
    "\u201a": "‘’",  # a low single quote
    "«": "»",
    "\uff02": "\uff02",  # full-width quotes
    "\uff07": "\uff07",
    "「": "」",
    "『": "』",
}
"""The quotes that close a string, by the quote that opened it."""

_SPECIAL = "\\\\" + "".join(sorted(set("".join(QUOTES.values()))))
_PLAIN = re.compile(f"[^{_SPECIAL}]+")
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[\"\\/bfnrt])")
_CONTROL = re.compile(r"[\x00-\x1f]")
_FENCE_IN_STRING = re.compile(r"\n(?=[ \t]*```)")
_AFTER_STRING = re.compile(r"\s*[,:}\])\uff0c\uff1a\uff5d\uff3d]|\s*(?:#|//|/\*)|[ \t]*\r?\n\s*[^\W\d]*[\"'“‘{\[]")


class EndOfTextError(Exception):
    """The text ends at offset `end` inside a value; `reached` is the end of what was read to find that out."""

    def __init__(self, end: int, reached: int) -> None:
        super().__init__(end, reached)
        self.end = end
        self.reached = reached


def read_string(text: str, start: int, repairs: set[str]) -> tuple[str, int]:
    """Read the string whose opening quote is at offset `start`; return its value and the offset after it.

    A single or typographic quote inside a word (`it's`) does not close the string, nor does one at the end of the text.

    A code fence on a line of its own belongs to the string if JSON goes on after the closing quote. Otherwise the model
    stopped in the middle of the string, and the fence ends the text.

    Raises:
        EndOfTextError: The string is not closed.
    """
    opening = text[start]
    if opening != '"':
        repairs.add("quotes other than double quotes")
    at = start + 1
    fence = -1
    body: list[str] = []  # the body of the string as JSON would write it
    while at < len(text):
        character = text[at]
        following = text[at + 1 : at + 2]
        if match := _PLAIN.match(text, at) or _ESCAPE.match(text, at):
            if fence < 0 and (found := _FENCE_IN_STRING.search(match[0])):
                fence = at + found.end()
            body.append(match[0])
            at = match.end()
        elif _closes(character, opening, following):
            if fence >= 0 and not _AFTER_STRING.match(text, at + 1):
                raise EndOfTextError(fence, at)
            return _decode("".join(body), repairs), at + 1
        elif character == "\\":
            repairs.add("invalid escape")
            body.append(following if following in QUOTES else "\\\\" + following)
            at += 1 + len(following)
        else:
            body.append('\\"' if character == '"' else character)
            at += 1
    raise EndOfTextError(fence if fence >= 0 else len(text), len(text))


def _closes(character: str, opening: str, following: str) -> bool:
    if character not in QUOTES[opening]:
        return False
    return opening == '"' or not (following.isalnum() or following == "")


def _decode(body: str, repairs: set[str]) -> str:
    if _CONTROL.search(body):
        repairs.add("raw control character in a string")
    decoded: str = json.loads(f'"{body}"', strict=False)
    return without_lone_surrogates(decoded)


def without_lone_surrogates(text: str) -> str:
    """Join surrogate pairs, and replace a lone surrogate, which no encoding can hold, by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def encodable(value: Any, levels: int = MOST_LEVELS) -> Any:  # noqa: ANN401 - may hold more than JSON does
    """Return a value with U+FFFD for each lone surrogate in its strings, keys included.

    Raises:
        RecursionError: It is nested too deeply to be read again as JSON.
    """
    if isinstance(value, dict | list) and not levels:
        raise RecursionError
    if isinstance(value, dict):
        return {encodable(key): encodable(item, levels - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [encodable(item, levels - 1) for item in value]
    return without_lone_surrogates(value) if isinstance(value, str) and not value.isascii() else value
