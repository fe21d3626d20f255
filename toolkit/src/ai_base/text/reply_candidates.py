"""Finds the JSON objects and arrays in a model's reply. Reasoning, and the inside of broken JSON, do not count."""

import re
from dataclasses import dataclass, field, replace

from ai_base.text.lenient_json import FULL_WIDTH, Document, LenientJSONError, read

MAX_BRACKETS = 2_000
"""Most opening brackets and reasoning tags outside of JSON that are looked at: far more than prose has."""

MAX_REREAD = 100_000
"""Most characters that are read again after something broken. Both limits bound the work for a hostile reply."""

MAX_PROSE = 100
"""A bracket counts as prose only if reading fails within this many characters."""

_REASONING = (
    "think|thinking|thought|thoughts|antthinking|reasoning|reason|reflection|reflect|scratchpad|analysis|rationale|"
    "deliberation|plan|planning|monologue|inner_monologue|chain_of_thought|cot|draft"
)
_TAG = (
    rf"<\|?(?P<slash>/?)\s*(?:\w+:)?(?P<name>{_REASONING})\b[^<>]{{0,100}}>"
    r"|(?:\[|◁)(?P<bare_slash>/?)(?P<bare_name>THINK|think)(?:\]|▷)"
    r"|(?P<final_channel><\|channel\|>final)"
)
_ASCII = {**FULL_WIDTH, 0xFF02: ord('"'), 0xFF07: ord("'")}
_LANDMARK = re.compile(rf"{_TAG}|[{{\[]", re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)
_END_OF_REASONING = re.compile(rf"</\s*(?:\w+:)?(?:{_REASONING})\s*>", re.IGNORECASE)
_JSON_BEGINS = re.compile(r"[{\[]\s*(?:[\"'“”„‘«「{\[]|\w+\s*:)")
_CLOSING = {"{": "}", "[": "]"}
_BRACKET = re.compile(r"[{}\[\]]")
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\\n]|\\.)*"?|[{}\[\]]')
_KEY_BEFORE = re.compile(r"(?:[\"'”’]|[\"'”’\d}\]]\s*,\s*\w+)\s*:\s*\Z")
_BARE_KEY_BEFORE = re.compile(r",\s*\w+\s*:\s*\Z")
_SIBLING_BEFORE = re.compile(r"[}\]]\s*,\s*\Z")
_SIBLING_AFTER = re.compile(r"\s*,\s*(?:[\"'“{\[]|\w+\s*:)")
_CLOSING_AFTER = re.compile(r"\s{0,50}[}\]]")
_FENCE_BEFORE = re.compile(r"```\w*\s*\Z")
_NEAR = 50  # characters around a candidate that are looked at


@dataclass(frozen=True)
class Broken:
    """Something that begins like JSON but cannot be read; `reason` says why, at offset `position`.

    `cut` says that it is broken because the text ends.
    """

    start: int
    position: int
    reason: str
    cut: bool = False


@dataclass
class Findings:
    """Objects and arrays of a reply in the order of the text.

    `answer_start` is the offset after the last reasoning. `unclosed_reasoning` says that a reasoning tag is not
    closed, so what was found may be reasoning.
    """

    found: list[Document | Broken] = field(default_factory=list)
    answer_start: int = 0
    unclosed_reasoning: bool = False


def find_candidates(text: str) -> Findings:
    """Find the outermost objects and arrays. The inside of a broken one is skipped, and so is reasoning.

    A reasoning tag inside a JSON string is part of the string. A closing tag without an opening one ends a reasoning
    that began before the reply did.
    """
    return _Search(text, text.translate(_ASCII)).run()


@dataclass
class _Search:
    """A search. `shape` is the text with ASCII punctuation for full-width one, at the same offsets."""

    text: str
    shape: str
    findings: Findings = field(default_factory=Findings)
    reread: int = 0
    failed: bool = False
    never_closed: set[str] = field(default_factory=set)
    matching: dict[int, int] | None = None

    def run(self) -> Findings:
        at = 0
        seen = 0
        while landmark := _LANDMARK.search(self.shape, at):
            seen += 1
            if seen > MAX_BRACKETS or self.reread > MAX_REREAD:
                at = landmark.start()
                self.findings.found.append(Broken(at, at, "too many brackets before this one"))
                break
            is_tag = landmark["name"] or landmark["bare_name"] or landmark["final_channel"]
            at = self.tag(landmark) if is_tag else self.candidate(landmark.start())
        return self.findings

    def tag(self, tag: re.Match[str]) -> int:
        """Return the offset after the reasoning that a tag begins or ends."""
        if tag["final_channel"] or tag["slash"] or tag["bare_slash"]:
            self.findings = Findings(answer_start=tag.end())
            return tag.end()
        name = (tag["name"] or tag["bare_name"]).lower()
        end = -1 if name in self.never_closed else self.end_of_reasoning(name, tag.end())
        if end < 0:
            self.never_closed.add(name)
            self.findings.unclosed_reasoning = True
            return tag.end()
        self.findings.answer_start = end
        return end

    def end_of_reasoning(self, name: str, start: int) -> int:
        """Return the offset after the closing tag that belongs to the opening tag before `start`, or -1."""
        depth = 1
        end = -1
        tags = re.compile(rf"[<\[◁]\|?(?P<slash>/?)\s*(?:\w+:)?{name}\b[^<>\[\]]{{0,100}}[>\]▷]", re.IGNORECASE)
        for tag in tags.finditer(self.shape, start):
            depth += -1 if tag["slash"] else 1
            if tag["slash"]:
                end = tag.end()
            if depth == 0:
                break
        return end

    def candidate(self, start: int) -> int:
        """Read what begins at an opening bracket, and return the offset at which to go on."""
        try:
            document = read(self.text, start)
        except LenientJSONError as error:
            return self.after_failure(Broken(start, error.position, error.reason), error.position, error.position)
        if document.truncated and not document.value:
            broken = Broken(start, document.end, "the reply ends before its first value is complete", cut=True)
            swallowed = document.end == len(self.text)  # perhaps by a quote in prose
            return self.after_failure(broken, start if swallowed else document.end, document.reached)
        if document.truncated and document.reached > document.end:
            self.reread += document.reached - document.end
        extra_bracket = _CLOSING_AFTER.match(self.shape, document.end) is not None
        if self.is_part(document) or (extra_bracket and not self.is_first(document)):
            self.findings.found.append(Broken(start, start, "the JSON around this is broken"))
        elif extra_bracket:
            self.findings.found.append(replace(document, repairs=document.repairs | {"extra closing bracket"}))
        else:
            self.findings.found.append(document)
        return document.end

    def after_failure(self, broken: Broken, readable_until: int, reached: int) -> int:
        """Record something broken, unless it is a bracket in prose, and return the offset after it."""
        self.failed = True
        end = self.closing_brackets().get(broken.start, -1)
        if _JSON_BEGINS.match(self.shape, broken.start) or broken.position - broken.start > MAX_PROSE:
            self.findings.found.append(broken)
            end = self.end_of_broken(broken.start, readable_until, end)
        elif end < 0:
            end = broken.start + 1
        self.reread += max(0, reached - end)
        return end

    def end_of_broken(self, start: int, readable_until: int, end: int) -> int:
        """Return an offset at which something broken has certainly ended, so that nothing inside passes for the answer.

        Its brackets are balanced there, both with those in strings counted and without. If they never are, it ends at
        the end of the reasoning, at the next code fence, or at the end of the text.
        """
        depth = 0
        for token in _STRING_OR_BRACKET.finditer(self.shape, start):
            if token[0] in "{[":
                depth += 1
            elif token[0] in "}]":
                depth -= 1
            if depth == 0:
                break
        self.reread += (token.end() if depth == 0 else len(self.shape)) - start
        if depth == 0 and end >= 0:
            return max(end, token.end(), readable_until)
        boundary = _END_OF_REASONING.search(self.shape, start) or _FENCE.search(self.shape, readable_until)
        return boundary.start() if boundary else len(self.shape)

    def closing_brackets(self) -> dict[int, int]:
        """Map the offset of each opening bracket to the offset after its closing bracket. Strings are ignored."""
        if self.matching is None:
            self.matching = {}
            opened: list[re.Match[str]] = []
            for bracket in _BRACKET.finditer(self.shape):
                if bracket[0] in _CLOSING:
                    opened.append(bracket)
                elif opened and bracket[0] == _CLOSING[opened[-1][0]]:
                    self.matching[opened.pop().start()] = bracket.end()
        return self.matching

    def is_part(self, document: Document) -> bool:
        """Tell whether a document looks like a member: it follows a key, or is next to a comma and another member."""
        before = self.shape[max(0, document.start - _NEAR) : document.start]
        after = self.shape[document.end : document.end + _NEAR]
        if (self.failed or self.findings.found) and _BARE_KEY_BEFORE.search(before):
            return True
        return bool(_KEY_BEFORE.search(before) or _SIBLING_BEFORE.search(before) or _SIBLING_AFTER.match(after))

    def is_first(self, document: Document) -> bool:
        """Tell whether a document is the first thing in the reply or in a code block."""
        before = self.shape[max(0, document.start - _NEAR) : document.start]
        if document.start < _NEAR and not before.strip():
            return True
        return _FENCE_BEFORE.search(before) is not None
