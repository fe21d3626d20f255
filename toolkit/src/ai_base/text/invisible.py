"""Invisible characters, and the contexts in which one of them is needed."""

import re

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

INVISIBLE = re.compile(
    rf"""
      {_ALWAYS_INVISIBLE}
    | (?<! {_EMOJI} ) (?<! [0-9\#*] ) {_STYLE_SELECTORS}           # as in a heart or a keycap
    | (?! (?: (?<= {_EMOJI} ) | (?<= {_EMOJI}\ufe0f ) ) \u200d {_EMOJI} )  # as in a family
      (?! (?<= {_JOINING_LETTER} ) {_JOINERS} {_JOINING_LETTER} )   # as in Persian words
      {_JOINERS}
    """,
    re.VERBOSE,
)
INVISIBLE_BEGUN = re.compile(rf"{_JOINERS}\Z")
"""A joiner at the end of a text: the next character decides whether it is removed."""


def is_invisible(character: str) -> bool:
    """Tell whether a character is invisible somewhere: always, or as a joiner or style selector out of place."""
    return bool(re.match(f"{_ALWAYS_INVISIBLE}|{_JOINERS}|{_STYLE_SELECTORS}", character))


def remove_invisible(text: str) -> str:
    """Return `text` without control and other invisible characters, for a terminal; markup stays as it is."""
    return INVISIBLE.sub("", text)
