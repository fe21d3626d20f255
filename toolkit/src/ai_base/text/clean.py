"""Makes a model's text safe to show: it says the same, but can do nothing to the reader's screen.

Removed: control characters but line feed and tab, direction overrides, and invisible characters that can hide a message
(joiners stay between emoji, and between letters of scripts that need them). Defused: Markdown pictures become links, as
a picture is loaded at once and its address can carry data away; the `<` of a tag is escaped, but for plain formatting
without attributes; so is the `&` that hides an ASCII letter; `javascript:` and the like get a space before the colon.
With `html="keep"` every `<` stays, for readers that show text as it is: they expect `List<int>`. `a < b` always stays.
"""

import re
from functools import reduce
from typing import Literal

from ai_base.text.lenient_json import JSON

_EMOJI = r"[©®‼⁉™\u2139\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
_LETTER = r"[\u0600-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc]"  # Arabic to Myanmar, Khmer, Mongolian
_INVISIBLE = (
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001d173-\U0001d17a"
    rf"\U000e0000-\U000e0fff]|(?<!{_EMOJI})(?<![0-9#*])[\ufe0e\ufe0f]|(?!(?:(?<={_EMOJI})|(?<={_EMOJI}\ufe0f))\u200d"
    rf"{_EMOJI})(?!(?<={_LETTER})[\u200c\u200d]{_LETTER})[\u200c\u200d]"
)
_GAP, _SCHEMES = "[\t\n]{0,8}", ("javascript:", "vbscript:", "data:text/html")  # browsers skip these gaps
_DECODED = r"#(?!(?:3[49]|1[6-9]\d|[2-9]\d\d|[1-9]\d{3,5}|x2[27]|x[1-9a-f][\da-f]{3,4});)|(?:tab|newline|colon);"
_ACTIVE = rf"(?i)(?<!!)!(?=\[)|(?<=!!)\[|&(?={_DECODED})|{'|'.join(map(_GAP.join, _SCHEMES))}"
_TAG = r"|<(?=[a-z/!?])(?!/?(?:b|blockquote|br|code|em|i|li|ol|p|pre|s|strong|sub|sup|u|ul) ?/?>)"
_BEGUN = [reduce(lambda rest, letter: f"{letter}{_GAP}(?:{rest})?", scheme[-2::-1]) for scheme in _SCHEMES]
_REPLACEMENT = {"[": " [", "&": "&amp;", "<": "&lt;"}


class _Filter:
    """Replaces what `pattern` finds in a stream; what matches `begun` waits, since its end is not there yet."""

    def __init__(self, pattern: str, begun: str) -> None:
        self.pattern, self.begun = re.compile(pattern), re.compile(rf"(?:{begun})\Z", re.IGNORECASE)
        self.text, self.done = "", 0  # the last characters; how many of them are only there to look back at

    def feed(self, chunk: str, *, last: bool = False) -> str:
        text, at = self.text + chunk, self.done
        begun = None if last else self.begun.search(text, max(at, len(text) - 200))
        end, parts = begun.start() if begun else len(text), [""]
        for match in self.pattern.finditer(text, at):
            if match.start() < end:
                found = match[0].replace(":", " :") if ":" in match[0] else _REPLACEMENT.get(match[0], "")
                parts += [text[at : match.start()], found]
                at = match.end()
        end = max(at, end)
        self.text, self.done = text[max(0, end - 2) :], min(2, end)
        return "".join([*parts, text[at:end]])


class Cleaner:
    """`clean` for a text that arrives in pieces: however it is cut, the result is the same.

    At most 200 characters are held back, and only where what they will become is open.
    """

    def __init__(self, html: Literal["escape", "keep"] = "escape") -> None:
        self._visible = _Filter(_INVISIBLE, "[\u200c\u200d]")
        self._active = _Filter(
            _ACTIVE + _TAG * (html == "escape"), "|".join(["!", r"&[#\w]{0,9}", "<[^<>]{0,14}", *_BEGUN])
        )

    def feed(self, chunk: str) -> str:
        """Return what of the text so far is settled, cleaned."""
        return self._active.feed(self._visible.feed(chunk))

    def close(self) -> str:
        """Return the rest."""
        return self._active.feed(self._visible.feed("", last=True), last=True)


def clean(text: str, html: Literal["escape", "keep"] = "escape") -> str:
    """Return `text` without what could act or hide; cleaning twice changes nothing more."""
    cleaner = Cleaner(html)
    return cleaner.feed(text) + cleaner.close()


def clean_value(value: JSON, html: Literal["escape", "keep"] = "escape") -> JSON:
    """Clean every string of a JSON value, keys included."""
    if isinstance(value, dict):
        return {clean(key, html): clean_value(item, html) for key, item in value.items()}
    if isinstance(value, list):
        return [clean_value(item, html) for item in value]
    return clean(value, html) if isinstance(value, str) else value
