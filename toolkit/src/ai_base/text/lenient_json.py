"""A JSON reader for what language models write: forgiving about form, strict about content.

It accepts single and typographic quotes, unquoted keys, trailing commas, comments, Python's
`True`/`False`/`None`, raw line breaks in strings, and text that ends too early. It never guesses at
content: a value that the text does not finish is left out, and everything else is an error.
"""

import json
import math
import re
from dataclasses import dataclass, field

type JSON = str | int | float | bool | list[JSON] | dict[str, JSON] | None
type Path = tuple[str | int, ...]

MAX_DEPTH = 100
"""Deepest nesting of objects and arrays; far beyond any sane reply, far below Python's stack."""

_FENCE = "```"
_COMMENT = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)|/\Z", re.DOTALL)  # a comment that is cut off counts as one
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_CUT_NUMBER = re.compile(r"[0-9.eE+-]+\Z")
_WORD = re.compile(r"[^\W\d]\w*")
_PLAIN = re.compile(r"[^\\\"'”’]+")
_CONTROL = re.compile(r"[\x00-\x1f]")
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[\"\\/bfnrt])")
_CLOSING_QUOTE = {'"': '"', "'": "'", "“": "”", "‘": "’"}
_CONSTANTS: dict[str, tuple[bool | None, str | None]] = {
    "true": (True, None),
    "false": (False, None),
    "null": (None, None),
    "True": (True, "Python literal"),
    "False": (False, "Python literal"),
    "None": (None, "Python literal"),
}


class LenientJSONError(ValueError):
    """The text is not JSON, however kindly it is read.

    `position` is the offset in the text at which reading stopped, `reason` says why. `quote` is the offset of the last
    string before it, -1 without one: when that string never closed, it has swallowed what follows.
    """

    quote = -1

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"{reason} at offset {position}")
        self.reason = reason
        self.position = position


class _EndOfTextError(Exception):
    """The text ended inside a value."""


@dataclass
class Document:
    """An object or array found in a text.

    `start` and `end` are offsets in the text; `positions` maps the path of every value to the offset of its beginning;
    `repairs` names what had to be forgiven; `quote` is the offset of the last string, -1 without one.
    """

    value: JSON
    start: int
    end: int
    positions: dict[Path, int]
    repairs: set[str]
    truncated: bool
    quote: int


def read(text: str, start: int) -> Document:
    """Read the object or array that begins at offset `start`.

    Raises:
        LenientJSONError: What begins there is not an object or an array, or is malformed.
    """
    reader = _Reader(text, start)
    try:
        reader.container((), 0)
        truncated = False
    except _EndOfTextError:
        truncated = True
        reader.repairs.add("cut off")
    except LenientJSONError as error:
        error.quote = reader.quote
        raise
    return Document(reader.root, start, reader.at, reader.positions, reader.repairs, truncated, reader.quote)


@dataclass
class _Reader:
    """A recursive-descent reader; `at` is the offset of the next unread character, `quote` of the last string."""

    text: str
    at: int
    positions: dict[Path, int] = field(default_factory=dict)
    repairs: set[str] = field(default_factory=set)
    root: JSON = None
    quote: int = -1

    def container(self, path: Path, depth: int) -> JSON:
        if depth == MAX_DEPTH:
            raise LenientJSONError(f"nested deeper than {MAX_DEPTH} levels", self.at)
        self.positions[path] = self.at
        opening = self.text[self.at : self.at + 1]
        if opening not in ("{", "["):
            raise LenientJSONError("expected '{' or '['", self.at)
        self.at += 1
        return self.object(path, depth) if opening == "{" else self.array(path, depth)

    def object(self, path: Path, depth: int) -> dict[str, JSON]:
        members: dict[str, JSON] = {}
        if depth == 0:  # kept as it grows, so that what was finished survives a cut
            self.root = members
        while self.peek() != "}":
            key = self.key()
            if key in members:
                self.forgive("repeated key")
            if self.peek() != ":":
                raise LenientJSONError(f"expected ':' after the key {key[:40]!r}", self.at)
            self.at += 1
            members[key] = self.value((*path, key), depth)
            self.separator("}")
        self.at += 1
        return members

    def array(self, path: Path, depth: int) -> list[JSON]:
        items: list[JSON] = []
        if depth == 0:
            self.root = items
        while self.peek() != "]":
            items.append(self.value((*path, len(items)), depth))
            self.separator("]")
        self.at += 1
        return items

    def value(self, path: Path, depth: int) -> JSON:
        character = self.peek()
        self.positions[path] = self.at
        if character in "{[":
            return self.container(path, depth + 1)
        if character in _CLOSING_QUOTE:
            return self.string()
        if _CUT_NUMBER.match(self.text, self.at):  # `12` may be the beginning of `123`
            raise _EndOfTextError
        if number := _NUMBER.match(self.text, self.at):
            return self.number(number)
        if word := _WORD.match(self.text, self.at):
            if word.end() == len(self.text):
                raise _EndOfTextError
            if word[0] in _CONSTANTS:
                value, repair = _CONSTANTS[word[0]]
                self.forgive(repair)
                self.at = word.end()
                return value
            raise LenientJSONError(f"expected a value, found {word[0][:40]!r}", self.at)
        raise LenientJSONError(f"expected a value, found {character!r}", self.at)

    def number(self, match: re.Match[str]) -> int | float:
        try:
            number = float(match[0]) if set(match[0]) & set(".eE") else int(match[0])
        except ValueError:  # Python refuses to convert integers of thousands of digits
            raise LenientJSONError("number too long", self.at) from None
        if isinstance(number, float) and not math.isfinite(number):
            raise LenientJSONError("number too large", self.at)
        self.at = match.end()
        return number

    def key(self) -> str:
        if self.peek() in _CLOSING_QUOTE:
            return self.string()
        word = _WORD.match(self.text, self.at)
        if not word:
            raise LenientJSONError(f"expected a key, found {self.text[self.at]!r}", self.at)
        self.forgive("unquoted key")
        self.at = word.end()
        return word[0]

    def string(self) -> str:
        """Read a string; a single quote inside a word (`it's`) does not close it, nor does one at the end of the text.

        A code fence at the beginning of a line ends the text: the model stopped in the middle of the string.
        """
        self.quote = self.at
        opening = self.text[self.at]
        closing = _CLOSING_QUOTE[opening]
        self.forgive(None if opening == '"' else "quotes other than double quotes")
        self.at += 1
        body: list[str] = []  # the body of a JSON string, once more
        while self.at < len(self.text):
            character = self.text[self.at]
            following = self.text[self.at + 1 : self.at + 2]
            if match := _PLAIN.match(self.text, self.at) or _ESCAPE.match(self.text, self.at):
                body.append(match[0])
                if (fence := match[0].find("\n" + _FENCE)) >= 0:
                    self.at += fence + 1
                    raise _EndOfTextError
                self.at = match.end()
            elif character == closing and (opening == '"' or not (following.isalnum() or following == "")):
                self.at += 1
                return self.unescaped("".join(body))
            elif character == "\\":
                self.forgive("invalid escape")
                body.append(following if following in _CLOSING_QUOTE else "\\\\" + following)
                self.at += 1 + len(following)
            else:
                body.append('\\"' if character == '"' else character)
                self.at += 1
        raise _EndOfTextError

    def unescaped(self, body: str) -> str:
        """Decode a string's body; a lone surrogate, which no encoding can hold, becomes U+FFFD."""
        if _CONTROL.search(body):
            self.forgive("raw control character in a string")
        decoded: str = json.loads(f'"{body}"', strict=False)
        return decoded.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def separator(self, closing: str) -> None:
        """Step over the comma after a member; a missing one is an error unless the container ends."""
        character = self.peek()
        if character == ",":
            self.at += 1
            if self.peek() == closing:
                self.forgive("trailing comma")
        elif character != closing:
            raise LenientJSONError(f"expected ',' or '{closing}', found {character!r}", self.at)

    def peek(self) -> str:
        """Return the next character that is neither white space nor in a comment, and move to it."""
        while True:
            while self.text[self.at : self.at + 1].isspace():
                self.at += 1
            comment = _COMMENT.match(self.text, self.at)
            if not comment:
                break
            self.forgive("comment")
            self.at = comment.end()
        if self.at == len(self.text) or self.text.startswith(_FENCE, self.at):
            raise _EndOfTextError
        return self.text[self.at]

    def forgive(self, repair: str | None) -> None:
        if repair:
            self.repairs.add(repair)
