"""A JSON reader for what language models write: forgiving about form, strict about content.

It accepts the deviations that `Document.repairs` names, such as single quotes, comments, trailing commas and Python
literals, and text that ends too early. It never guesses at content: everything else is an error.
"""

import math
import re
from dataclasses import dataclass, field

from ai_base.text.json_strings import FENCE, QUOTES, EndOfTextError, read_string

type JSON = str | int | float | bool | list[JSON] | dict[str, JSON] | None
type Path = tuple[str | int, ...]

MAX_DEPTH = 100
"""Deepest nesting of objects and arrays: deeper than any useful reply, and far from the limit of Python's stack."""

INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
"""Soft hyphen, zero-width characters and the byte order mark."""

FULL_WIDTH = str.maketrans("｛｝［］（）：，、", "{}[]():,,")  # noqa: RUF001 - these characters are the subject

_SPACE = re.compile(rf"[\s{INVISIBLE}]+")
_COMMENT = re.compile(r"#[^\n]*|//[^\n]*|/\*.*?(?:\*/|\Z)|/\Z", re.DOTALL)  # a comment may be cut off
_COMMENT_BEFORE_VALUE = re.compile(r"#(?=[\s#])[^\n]*|//(?=[\s/])[^\n]*|/\*.*?(?:\*/|\Z)|/\Z", re.DOTALL)
_NUMBER = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_STRICT_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_CUT_NUMBER = re.compile(r"[0-9.eE+-]+\Z")
_WORD = re.compile(r"[^\W\d]\w*")
_CONSTANTS = {"true": True, "false": False, "null": None}
_PYTHON_CONSTANTS = {"True": True, "False": False, "None": None}
_CLOSING = {"{": "}", "[": "]", "(": ")"}


class LenientJSONError(ValueError):
    """The text is not JSON, even if read leniently.

    `position` is the offset in the text at which reading stopped, `reason` says why.
    """

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"{reason} at offset {position}")
        self.reason = reason
        self.position = position


@dataclass(frozen=True)
class Document:
    """An object or array found in a text.

    `start` and `end` are offsets in the text, `reached` is the end of what was read. `positions` maps the path of every
    value to the offset of its beginning. `repairs` names the deviations from JSON. `truncated` says that the text ended
    before the document did. `lost` says that a value, or a member after a comma, is missing then; if it is false, only
    closing brackets are missing.
    """

    value: JSON
    start: int
    end: int
    reached: int
    positions: dict[Path, int]
    repairs: frozenset[str]
    truncated: bool
    lost: bool


def read(text: str, start: int) -> Document:
    """Read the object or array that begins at offset `start`.

    Raises:
        LenientJSONError: There is no object or array, or it is malformed.
    """
    reader = _Reader(text, start)
    opening = text[start : start + 1].translate(FULL_WIDTH)
    if opening not in ("{", "["):
        raise LenientJSONError("expected '{' or '['", start)
    root: dict[str, JSON] | list[JSON] = {} if opening == "{" else []
    reader.positions[()] = start
    reached = 0
    truncated = False
    try:
        reader.peek()
        reader.container(root, (), 1)
    except EndOfTextError as end:
        truncated = True
        reader.repairs.add("cut off")
        reader.at = end.end
        reached = end.reached
    repairs = frozenset(reader.repairs)
    lost = truncated and reader.inside_value
    return Document(root, start, reader.at, max(reached, reader.at), reader.positions, repairs, truncated, lost)


@dataclass
class _Reader:
    """A recursive-descent reader. `at` is the offset of the next unread character.

    `inside_value` is true while a value or member is expected or incomplete.
    """

    text: str
    at: int
    positions: dict[Path, int] = field(default_factory=dict)
    repairs: set[str] = field(default_factory=set)
    inside_value: bool = True

    def container(self, container: dict[str, JSON] | list[JSON], path: Path, depth: int) -> None:
        """Read an object, array or tuple into `container`, which its parent already holds."""
        if depth > MAX_DEPTH:
            raise LenientJSONError(f"nested deeper than {MAX_DEPTH} levels", self.at)
        closing = _CLOSING[self.text[self.at].translate(FULL_WIDTH)]
        opened_at = self.at
        self.at += 1
        comma = True
        while self.peek(before_value=isinstance(container, list)) != closing:
            if isinstance(container, dict):
                key = self.key()
                if key in container:
                    self.repairs.add("repeated key")
                self.value(container, key, (*path, key), depth)
            else:
                self.value(container, len(container), (*path, len(container)), depth)
            self.inside_value = False
            comma = self.separator(closing, in_object=isinstance(container, dict))
            self.inside_value = True
        if closing == ")" and len(container) == 1 and not comma:
            raise LenientJSONError("parentheses around one value are not a tuple", opened_at)
        self.at += 1

    def key(self) -> str:
        """Read a key and the colon after it."""
        if self.text[self.at] in QUOTES:
            key, self.at = read_string(self.text, self.at, self.repairs)
            visible = key.strip(INVISIBLE)
            if visible != key:
                self.repairs.add("invisible character")
            key = visible
        elif word := _WORD.match(self.text, self.at):
            self.repairs.add("unquoted key")
            key, self.at = word[0], word.end()
        else:
            raise LenientJSONError(f"expected a key, found {self.text[self.at]!r}", self.at)
        if self.peek() != ":":
            raise LenientJSONError(f"expected ':' after the key {key[:40]!r}", self.at)
        self.at += 1
        return key

    def value(self, parent: dict[str, JSON] | list[JSON], key: str | int, path: Path, depth: int) -> None:
        """Read a value into its parent."""
        character = self.peek(before_value=True)
        self.positions[path] = self.at
        if character == "{":
            members: dict[str, JSON] = {}
            _put(parent, key, members)
            self.container(members, path, depth + 1)
        elif character in ("[", "("):
            if character == "(":
                self.repairs.add("tuple")
            items: list[JSON] = []
            _put(parent, key, items)
            self.container(items, path, depth + 1)
        elif character in QUOTES:
            string, self.at = read_string(self.text, self.at, self.repairs)
            _put(parent, key, string)
        else:
            _put(parent, key, self.scalar(character))

    def scalar(self, character: str) -> JSON:
        if _CUT_NUMBER.match(self.text, self.at):  # `12` may be the beginning of `123`
            raise EndOfTextError(self.at, len(self.text))
        if number := _NUMBER.match(self.text, self.at):
            return self.number(number)
        word = _WORD.match(self.text, self.at)
        if not word:
            raise LenientJSONError(f"expected a value, found {character!r}", self.at)
        if word.end() == len(self.text):
            raise EndOfTextError(self.at, len(self.text))
        if word[0] not in _CONSTANTS and word[0] not in _PYTHON_CONSTANTS:
            raise LenientJSONError(f"expected a value, found {word[0][:40]!r}", self.at)
        self.at = word.end()
        if word[0] in _CONSTANTS:
            return _CONSTANTS[word[0]]
        self.repairs.add("Python literal")
        return _PYTHON_CONSTANTS[word[0]]

    def number(self, match: re.Match[str]) -> int | float:
        if not _STRICT_NUMBER.fullmatch(match[0]):
            self.repairs.add("number without digits on both sides of the point")
        try:
            number = float(match[0]) if set(match[0]) & set(".eE") else int(match[0])
        except ValueError:  # Python refuses to convert integers of thousands of digits
            raise LenientJSONError("number too long", self.at) from None
        if isinstance(number, float) and not math.isfinite(number):
            raise LenientJSONError("number too large", self.at)
        self.at = match.end()
        return number

    def separator(self, closing: str, *, in_object: bool) -> bool:
        """Read the comma after a member, and tell whether there was one.

        It may be missing before the closing bracket, and before a value or a quoted key on the next line.
        """
        value_end = self.at
        character = self.peek()
        if character == ",":
            self.at += 1
            self.inside_value = True
            if self.peek(before_value=not in_object) == closing:
                self.repairs.add("trailing comma")
            return True
        if character == closing:
            return False
        next_line = "\n" in self.text[value_end : self.at]
        if next_line and (character in QUOTES or (not in_object and character not in "}])")):
            self.repairs.add("missing comma")
            return False
        raise LenientJSONError(f"expected ',' or '{closing}', found {character!r}", self.at)

    def peek(self, *, before_value: bool = False) -> str:
        """Move to the next character outside white space and comments, and return it; ASCII for full-width punctuation.

        Before a value, `#` and `//` begin a comment only if white space follows: `#fff` and `//host` are broken values.
        """
        comments = _COMMENT_BEFORE_VALUE if before_value else _COMMENT
        while True:
            if space := _SPACE.match(self.text, self.at):
                self.at = space.end()
                if any(character in INVISIBLE for character in space[0]):
                    self.repairs.add("invisible character")
            comment = comments.match(self.text, self.at)
            if not comment:
                break
            self.repairs.add("comment")
            self.at = comment.end()
        if self.at == len(self.text) or FENCE.match(self.text, self.at):
            raise EndOfTextError(self.at, self.at)
        found = self.text[self.at]
        character = found.translate(FULL_WIDTH)
        if character != found:
            self.repairs.add("full-width punctuation")
        return character


def _put(parent: dict[str, JSON] | list[JSON], key: str | int, value: JSON) -> None:
    if isinstance(parent, list):
        parent.append(value)
    else:
        parent[str(key)] = value
