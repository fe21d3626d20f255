"""Makes a model's text safe to show on a page or a terminal.

`Cleaner` passes text through three filters:

1. Invisible characters are removed: control characters except tab and line feed, direction overrides, tag characters.
   Joiners stay between emoji and between letters of scripts that need them.
2. Active markup is defused. A Markdown picture becomes a link, because a picture is loaded at once and its address
   can carry data away. The `<` of a tag is escaped, except for plain formatting without attributes. The `&` of a
   character reference is escaped if the reference decodes to an invisible character or could spell a scheme.
3. A space is put into URL schemes that run code, such as `javascript:`.

`html="keep"` leaves every `<`, for readers that show text as it is and expect `List<int>`. `a < b` always stays.
"""

import re
from html.entities import html5
from typing import Literal, Protocol

from ai_base.text.invisible import INVISIBLE, INVISIBLE_BEGUN, is_invisible
from ai_base.text.lenient_json import JSON

type HTML = Literal["escape", "keep"]


# ---- Markup ----

_SCHEME_CHARACTERS = ":/\t\n"
"""Characters that a named reference could contribute to a scheme. There are none for ASCII letters."""


_HARMFUL_NAMES = [
    name.removesuffix(";") + ("" if name.removesuffix(";") in html5 else ";")  # browsers read some without semicolon
    for name, decoded in html5.items()
    if name.endswith(";") and any(is_invisible(each) or each in _SCHEME_CHARACTERS for each in decoded)
]
_LONGEST_NAME = max(map(len, _HARMFUL_NAMES))
_FORMATTING = "b|blockquote|br|code|em|i|li|ol|p|pre|s|strong|sub|sup|u|ul"

_PICTURE_OR_REFERENCE = rf"""
      (?P<picture> (?<!!) ! (?=\[) )
    | (?P<bracket> (?<=!!) \[ )                          # the "!" stays after another one, so the bracket is moved away
    | (?P<name> & (?-i: {"|".join(_HARMFUL_NAMES)} ) )
    | (?P<number> & \# (?: [0-9]{{1,7}} ; | x [0-9a-f]{{1,6}} ; )? )
"""
_TAG = rf"""
    | (?P<tag> < (?= [a-z/!?] ) (?! /? (?: {_FORMATTING} ) [ ]? /? > ) )
"""
_FLAGS = re.VERBOSE | re.IGNORECASE
_MARKUP: dict[HTML, re.Pattern[str]] = {
    "escape": re.compile(_PICTURE_OR_REFERENCE + _TAG, _FLAGS),
    "keep": re.compile(_PICTURE_OR_REFERENCE, _FLAGS),
}
_MARKUP_BEGUN = re.compile(
    rf"""
    (?: !
      | & (?: \#x?[0-9a-f]{{0,7}} | [a-z]{{0,{_LONGEST_NAME}}} )
      | < [^<>]{{0,14}}                                  # as long as "</blockquote /"
    ) \Z
    """,
    _FLAGS,
)


def _defuse(match: re.Match[str]) -> str:
    found = match[0]
    match match.lastgroup:
        case "picture":
            return ""
        case "bracket":
            return " ["
        case "tag":
            return "&lt;"
        case "number" if _is_harmless_number(found):
            return found
        case _:
            return "&amp;" + found[1:]


def _is_harmless_number(reference: str) -> bool:
    """Tell whether a numeric reference is well formed and decodes to a quote or a visible character beyond ASCII."""
    if not reference.endswith(";"):
        return False
    digits = reference[2:-1]
    code = int(digits[1:], 16) if digits[0] in "xX" else int(digits)
    if code in (ord('"'), ord("'")):
        return True
    return 0xA0 <= code <= 0x10FFFF and not is_invisible(chr(code))  # noqa: PLR2004 - the end of Latin-1's controls


# ---- Schemes ----

_SCHEME = re.compile(r"(?:javascript|vbscript|livescript):\Z|data: {0,8}[\w.+-]{1,30}/[\w.+-]{0,30}(?:html|xml)\Z")
_LAST_OF_SCHEME = re.compile("[:lL]")
_IGNORED = {ord(character): None for character in "\t\n\\"}
"""Browsers skip line breaks and tabs in a scheme; Markdown drops a backslash before `:`, `/` and `+`."""
_LONGEST_SCHEME = 80


# ---- Filters of a stream ----


class _Filter(Protocol):
    def feed(self, chunk: str, *, last: bool = False) -> str: ...


class _PatternFilter:
    """Replaces the matches of a pattern. Text that matches `begun` is held back until more has arrived."""

    def __init__(self, pattern: re.Pattern[str], begun: re.Pattern[str]) -> None:
        self.pattern, self.begun = pattern, begun
        self.text = ""
        """Up to two settled characters, which the pattern may look back at, then the text that is not settled yet."""
        self.settled = 0

    def feed(self, chunk: str, *, last: bool = False) -> str:
        text, position = self.text + chunk, self.settled
        begun = None if last else self.begun.search(text, max(position, len(text) - 40))
        end = begun.start() if begun else len(text)
        parts = []
        for match in self.pattern.finditer(text, position):
            if match.start() >= end:
                break
            parts += [text[position : match.start()], self.replacement(match)]
            position = match.end()
        end = max(position, end)
        parts.append(text[position:end])
        self.text, self.settled = text[max(0, end - 2) :], min(2, end)
        return "".join(parts)

    def replacement(self, match: re.Match[str]) -> str:
        del match
        return ""


class _MarkupFilter(_PatternFilter):
    def replacement(self, match: re.Match[str]) -> str:
        return _defuse(match)


class _SchemeFilter:
    """Puts a space before the last character of a scheme. It holds nothing back."""

    def __init__(self) -> None:
        self.before = ""
        """The end of the text so far, in lower case, without characters that a browser ignores."""

    def feed(self, chunk: str, *, last: bool = False) -> str:
        del last
        parts, position = [], 0
        for match in _LAST_OF_SCHEME.finditer(chunk):
            self._append(chunk[position : match.end()])
            parts.append(chunk[position : match.start()])
            if _SCHEME.search(self.before):
                parts.append(" ")
            parts.append(match[0])
            position = match.end()
        self._append(chunk[position:])
        return "".join([*parts, chunk[position:]])

    def _append(self, text: str) -> None:
        self.before = (self.before + text.translate(_IGNORED).lower())[-_LONGEST_SCHEME:]


# ---- Public functions ----


class Cleaner:
    """`clean` for a text that arrives in pieces. The result does not depend on where the text is cut.

    It holds back at most 40 characters, until the next ones decide what they are.
    """

    def __init__(self, html: HTML = "escape") -> None:
        self._filters: list[_Filter] = [
            _PatternFilter(INVISIBLE, INVISIBLE_BEGUN),
            _MarkupFilter(_MARKUP[html], _MARKUP_BEGUN),
            _SchemeFilter(),
        ]

    def feed(self, chunk: str) -> str:
        """Return the text that is settled by now, cleaned."""
        return self._pass(chunk, last=False)

    def close(self) -> str:
        """Return the rest."""
        return self._pass("", last=True)

    def _pass(self, text: str, *, last: bool) -> str:
        for each in self._filters:
            text = each.feed(text, last=last)
        return text


_HARMLESS = re.compile(r"""[\t\n "-%'-9;=-~]*+""")
"""ASCII without the characters that begin what is cleaned: `!`, `&`, `<`, and the colon of a scheme."""


def clean(text: str, html: HTML = "escape") -> str:
    """Return `text` without invisible characters and active markup. Cleaning twice changes nothing more."""
    if _HARMLESS.fullmatch(text):
        return text
    cleaner = Cleaner(html)
    return cleaner.feed(text) + cleaner.close()


def clean_value(value: JSON, html: HTML = "escape") -> JSON:
    """Clean every string of a JSON value, keys included."""
    if isinstance(value, dict):
        return {clean(key, html): clean_value(item, html) for key, item in value.items()}
    if isinstance(value, list):
        return [clean_value(item, html) for item in value]
    return clean(value, html) if isinstance(value, str) else value
