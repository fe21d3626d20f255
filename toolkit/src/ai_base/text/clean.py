"""Makes a model's text safe to show on a page or a terminal.

`Cleaner` passes text through three filters:

1. Invisible characters are removed: control characters except tab and line feed, direction overrides, tag characters.
   Joiners stay between emoji and between letters of scripts that need them.
2. Markup that acts is defused. A Markdown picture becomes a link, because a picture is loaded at once and its address
   can carry data away. The `<` of a tag is escaped, except for plain formatting without attributes. The `&` of a
   character reference is escaped if the reference decodes to an invisible character or could spell a scheme.
3. A space is put into URL schemes that run code, such as `javascript:`.

`html="keep"` leaves every `<`, for readers that show text as it is and expect `List<int>`. `a < b` always stays.
"""

import re
from html.entities import html5
from typing import Literal, Protocol

from ai_base.text.lenient_json import JSON

type HTML = Literal["escape", "keep"]


# ---- 1. Invisible characters ----

_INVISIBLE_RANGES = (
    (0x0000, 0x0008),  # control characters, except tab and line feed
    (0x000B, 0x001F),
    (0x007F, 0x009F),
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x061C, 0x061C),  # Arabic letter mark
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),  # Khmer inherent vowels
    (0x180B, 0x180F),  # Mongolian variation selectors and vowel separator
    (0x200B, 0x200B),  # zero width space
    (0x200E, 0x200F),  # direction marks
    (0x2028, 0x202E),  # line and paragraph separator; direction embeddings and overrides
    (0x2060, 0x206F),  # word joiner, invisible operators, direction isolates
    (0x3164, 0x3164),  # Hangul filler
    (0xD800, 0xDFFF),  # lone surrogates, which cannot be encoded
    (0xFDD0, 0xFDEF),  # noncharacters
    (0xFE00, 0xFE0D),  # variation selectors, except the two for text and emoji style
    (0xFEFF, 0xFEFF),  # zero width no-break space
    (0xFFA0, 0xFFA0),  # half-width Hangul filler
    (0xFFF0, 0xFFFB),  # interlinear annotation
    (0xFFFE, 0xFFFF),  # noncharacters
    (0x13430, 0x1343F),  # format controls: Egyptian hieroglyphs, shorthand, music
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),  # tag characters and variation selectors, which can spell a whole hidden message
)
_ALWAYS_INVISIBLE = "[" + "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in _INVISIBLE_RANGES) + "]"
_JOINERS = "[\u200c\u200d]"
_STYLE_SELECTORS = "[\ufe0e\ufe0f]"
_EMOJI = r"[©®‼⁉™\u2139\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
_JOINING_LETTER = r"[\u0600-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc]"  # Arabic to Myanmar, Khmer, Mongolian

_INVISIBLE = re.compile(
    rf"""
      {_ALWAYS_INVISIBLE}
    | (?<! {_EMOJI} ) (?<! [0-9\#*] ) {_STYLE_SELECTORS}           # as in a heart or a keycap
    | (?! (?: (?<= {_EMOJI} ) | (?<= {_EMOJI}\ufe0f ) ) \u200d {_EMOJI} )  # as in a family
      (?! (?<= {_JOINING_LETTER} ) {_JOINERS} {_JOINING_LETTER} )   # as in Persian words
      {_JOINERS}
    """,
    re.VERBOSE,
)
_INVISIBLE_BEGUN = re.compile(rf"{_JOINERS}\Z")


# ---- 2. Markup ----

_SCHEME_CHARACTERS = ":/\t\n"
"""Characters that a named reference could contribute to a scheme. There are none for ASCII letters."""


def _is_invisible(character: str) -> bool:
    return bool(re.match(f"{_ALWAYS_INVISIBLE}|{_JOINERS}|{_STYLE_SELECTORS}", character))


_HARMFUL_NAMES = [
    name.removesuffix(";") + ("" if name.removesuffix(";") in html5 else ";")  # browsers read some without semicolon
    for name, decoded in html5.items()
    if name.endswith(";") and any(_is_invisible(each) or each in _SCHEME_CHARACTERS for each in decoded)
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
    return 0xA0 <= code <= 0x10FFFF and not _is_invisible(chr(code))  # noqa: PLR2004 - the end of Latin-1's controls


# ---- 3. Schemes ----

_SCHEME = re.compile(r"(?:javascript|vbscript|livescript):\Z|data: {0,8}[\w.+-]{1,30}/[\w.+-]{0,30}(?:html|xml)\Z")
_LAST_OF_SCHEME = re.compile("[:lL]")
_IGNORED = {ord(character): None for character in "\t\n\\"}
"""Browsers skip line breaks and tabs in a scheme; Markdown drops a backslash before `:`, `/` and `+`."""
_LONGEST_SCHEME = 80


# ---- Filters of a stream ----


class _Filter(Protocol):
    def feed(self, chunk: str, *, last: bool = False) -> str: ...


class _PatternFilter:
    """Replaces the matches of a pattern. Text that matches `begun` is kept until more of it has come."""

    def __init__(self, pattern: re.Pattern[str], begun: re.Pattern[str]) -> None:
        self.pattern, self.begun = pattern, begun
        self.text = ""
        """What is not settled yet, after up to two settled characters for the pattern to look back at."""
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
    """Puts a space before the last character of a scheme. It keeps nothing back: what came before cannot change."""

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

    At most 40 characters are kept back, where the next ones decide what they are.
    """

    def __init__(self, html: HTML = "escape") -> None:
        self._filters: list[_Filter] = [
            _PatternFilter(_INVISIBLE, _INVISIBLE_BEGUN),
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


def clean(text: str, html: HTML = "escape") -> str:
    """Return `text` without invisible characters and active markup. Cleaning twice changes nothing more."""
    cleaner = Cleaner(html)
    return cleaner.feed(text) + cleaner.close()


def clean_value(value: JSON, html: HTML = "escape") -> JSON:
    """Clean every string of a JSON value, keys included."""
    if isinstance(value, dict):
        return {clean(key, html): clean_value(item, html) for key, item in value.items()}
    if isinstance(value, list):
        return [clean_value(item, html) for item in value]
    return clean(value, html) if isinstance(value, str) else value


def remove_invisible(text: str) -> str:
    """Return `text` without control and other invisible characters, for a terminal; markup stays as it is."""
    return _INVISIBLE.sub("", text)
