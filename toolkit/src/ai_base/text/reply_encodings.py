"""Replies that are JSON inside JSON: a string that holds the answer, or an answer with escaped quotes."""

import json
import re

from ai_base.text.json_strings import without_lone_surrogates

_WHOLE_FENCE = re.compile(r"```\w*[ \t]*\n(?P<body>.*)\n[ \t]*```", re.DOTALL)
_ESCAPED_OBJECT = re.compile(r"[^{\[]*[{\[](?:\s|\\[nrt])*(?:[{\[](?:\s|\\[nrt])*)?\\+\"")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_SHORT_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_BEGINNINGS = ("{", "[", '"', "```")


def decode(text: str) -> str | None:
    """Return the reply that a text encodes, or None if it is not encoded."""
    string = without_fence(text)
    if len(string) > 1 and string.startswith('"') and string.endswith('"'):
        try:
            decoded = json.loads(string, strict=False)
        except ValueError:
            decoded = ""
        if decoded.lstrip().startswith(_BEGINNINGS):
            return without_lone_surrogates(decoded)
    if _ESCAPED_OBJECT.match(text):
        return without_lone_surrogates(_ESCAPE.sub(_unescape, text))
    return None


def without_fence(text: str) -> str:
    """Return the content of a code block if the text is nothing else. White space around it is removed."""
    text = text.strip()
    fence = _WHOLE_FENCE.fullmatch(text)
    return fence["body"].strip() if fence else text


def _unescape(escape: re.Match[str]) -> str:
    code = escape[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else _SHORT_ESCAPES.get(code, code)
