r"""Replaces each escape sequence of a text by one character while patterns run over it.

So no pattern cuts an escape in two, a line of JSON stays JSON, and a word may begin right after an escape: the `n` of
`\n` is not part of the number that follows. Escapes are terminal colours and JSON's `\n`, `\"`, `\u00e9`, also nested.
"""

import re

QUOTES = {'\\"': "\U000f0000", '\\\\\\"': "\U000f0001", "\\" * 7 + '"': "\U000f0002"}
"""Quotes in JSON, in JSON inside a JSON string, and one level deeper; with the characters that replace them."""
ESCAPED_QUOTES = "\U000f0000-\U000f0002"
"""Those characters, for a character class."""
ANY_ESCAPE = "\U000f0000-\U0010ffff"
"""The private characters that stand for escapes, for a character class."""

_SEQUENCE = re.compile(
    rf"""
    [{ANY_ESCAPE}]                            # such a character in the text itself
    | \x1b \[ [0-9;]* m                       # a colour
    | \\u001b \[ [0-9;]* m                    # a colour in JSON
    | \\{{1,8}} (?: u[0-9a-fA-F]{{4}} | [bfnrt] )
    | (?: \\{{7}} | \\{{3}} ) "
    | \\ ["\\/]
    """,
    re.VERBOSE,
)
_UNICODE = re.compile(r"\\+u([0-9a-fA-F]{4})")
_STANDS_FOR_ITSELF = "\u00a0\u2009\u202f\uff20\uff0e"  # spaces and signs that rules know, beside letters


class Escapes:
    """Hides the escapes of one text and brings them back."""

    def __init__(self) -> None:
        self._by_sequence = dict(QUOTES)

    def hide(self, text: str) -> str:
        """Replace each escape by one character: the letter that it stands for, else a private one."""
        self._text = text
        return _SEQUENCE.sub(self._character, text)

    def restore(self, text: str) -> str:
        """Put the escapes back."""
        by_character = {ord(character): sequence for sequence, character in self._by_sequence.items()}
        return text.translate(by_character)

    def _character(self, match: re.Match[str]) -> str:
        sequence = match[0]
        if sequence not in self._by_sequence:
            private = chr(min(0xF0000 + len(self._by_sequence), 0x10FFFF))
            self._by_sequence[sequence] = self._letter(sequence) or private
        return self._by_sequence[sequence]

    def _letter(self, sequence: str) -> str:
        """Return the letter that an escape stands for, if the text has it in no other form."""
        if not (code := _UNICODE.fullmatch(sequence)):
            return ""
        letter = chr(int(code[1], 16))
        is_known = (letter.isalpha() and not letter.isascii()) or letter in _STANDS_FOR_ITSELF
        is_free = letter not in self._text and letter not in self._by_sequence.values()
        return letter if is_known and is_free else ""


def has_escapes(text: str) -> bool:
    """Return whether the text holds an escape. Fast for most texts."""
    if text.isascii():
        return "\\" in text or "\x1b" in text
    return _SEQUENCE.search(text) is not None
