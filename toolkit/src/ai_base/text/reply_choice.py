"""Tells whether an object in a reply is introduced as the final answer."""

import re

_LONGEST_INTRODUCTION = 100

_FINAL = re.compile(
    r"(?:so |and |now |thus |therefore |here is |here's |this is |below is )?(?:the |my |our )?"
    r"(?:(?:final|corrected|revised|definitive|actual)(?: (?:json|answer|result|version|output|object|reply|response))*"
    r"|(?:the )?answer|correction|on reflection)"
    r"(?: is| below| follows|,? after checking)?"
)
_ANSWER_TAG = re.compile(r"<(?:final|answer|final_answer|final_output|output|result|response)>\s*\Z", re.IGNORECASE)
_CODE_FENCE = re.compile(r"```\w*\s*\Z")
_DECORATION = re.compile(r"[*_#>:`~\-\u2013\u2014\s]+")
_SENTENCE_END = re.compile(r"[.!?;\n]")


def is_introduced_as_final(text: str, start: int) -> bool:
    """Tell whether the words right before offset `start` say that the final answer follows, such as "Final answer:".

    They must be a sentence of their own: "Had it been express, the final answer would be" is none.
    """
    before = text[max(0, start - _LONGEST_INTRODUCTION) : start]
    if _ANSWER_TAG.search(before):
        return True
    before = _CODE_FENCE.sub("", before).rstrip()
    sentence = _SENTENCE_END.split(before)[-1]
    words = _DECORATION.sub(" ", sentence).strip().lower()
    return _FINAL.fullmatch(words) is not None
