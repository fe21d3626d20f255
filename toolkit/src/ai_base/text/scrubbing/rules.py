"""Rules of the scrubber, and how a set of them is applied to a text."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

LETTERS_TO_A_DIGITS_TO_9 = bytes.maketrans(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", b"9" * 10 + b"a" * 52
)
SEPARATORS = b" /()-" + "\u00a0\u2009\u202f".encode()

KEY_CHARACTERS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.+/=~-"
OTHERS_TO_SPACE = bytes(code if code in KEY_CHARACTERS else ord(" ") for code in range(256))
SHORTEST_KEY = 15
PERCENT_CODE = re.compile(rb"%[0-9A-Fa-f]{2}")
ALNUM_RUN = re.compile(rb"[A-Za-z0-9]+")


def compile_verbose(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    """Compile a pattern in which spaces and comments do not count."""
    return re.compile(pattern, re.VERBOSE | flags)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Finds one kind of personal data or secret by its form."""

    name: str
    """What the rule finds, for the reader of the list."""
    label: str
    """The replacement, without the brackets."""
    form: str
    """A pattern in which spaces and comments do not count. Its time must be linear: only its end may be unbounded.
    If there is a group `secret`, it is replaced and the rest stays."""
    flags: re.RegexFlag = re.NOFLAG
    check: Callable[[re.Match[str]], int] | None = None
    """Returns the offset at which a match ends, 0 if it is none after all: a wrong checksum, a version number."""

    # Clues, which are cheap to search. Each rule has one kind of clue, and runs only on texts that hold it.
    starts: tuple[str, ...] = ()
    """Every match begins with one of these. The pattern is tried only there."""
    is_word: bool = False
    """Whether a match is one word of `SHORTEST_KEY` characters or more that begins with one of `starts`."""
    contains: tuple[str, ...] = ()
    """The text of every match contains one of these."""
    shapes: tuple[bytes, ...] = ()
    """The shape of every match contains one of these."""
    joined: tuple[bytes, ...] = ()
    """The shape of every match, without separators, contains one of these."""
    needs: re.Pattern[str] | None = None
    """A pattern that is found in every text with a match, and is fast because it begins with a literal."""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The compiled form. Most rules are never needed, and a hundred patterns would slow the import down."""
        return compile_verbose(self.form, self.flags)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield start and end of everything that the rule finds; from left to right for each of `starts`."""
        if self.starts:
            for start in self.starts:
                yield from self._spans_at(start, text)
            return
        at = 0
        while match := self.pattern.search(text, at):
            end = self._end_of(match)
            if end:
                yield self._start_of(match), end
            at = end or match.start() + 1

    def _spans_at(self, start: str, text: str) -> Iterator[tuple[int, int]]:
        at = text.find(start)
        while at >= 0:
            following = at + len(start)
            if match := self.pattern.match(text, at):
                end = self._end_of(match)
                if end:
                    yield self._start_of(match), end
                if end or self.is_word:  # prose that only begins like a key is not read again
                    following = match.end()
            at = text.find(start, following)

    def _end_of(self, match: re.Match[str]) -> int:
        return self.check(match) if self.check else match.end()

    def _start_of(self, match: re.Match[str]) -> int:
        return match.start("secret") if "secret" in self.pattern.groupindex else match.start()


class Clues:
    """Cheap facts about a text that rule most rules out before a pattern runs."""

    def __init__(self, text: str) -> None:
        encoded = text.encode("utf-8", "surrogatepass")
        self.text = text
        self.shape = encoded.translate(LETTERS_TO_A_DIGITS_TO_9)
        """The text with each digit as 9 and each ASCII letter as a: the shape of `+49 30 x1` is `+99 99 a9`."""
        self.joined = self.shape.translate(None, SEPARATORS)
        """The shape without the separators of long numbers: `+9999a9` for the same text."""
        if b"%" in encoded:
            encoded = PERCENT_CODE.sub(b" ", encoded)  # the D of `%3D` does not belong to the word after it
        words = encoded.translate(OTHERS_TO_SPACE).split()
        self.long_words = [word for word in words if len(word) >= SHORTEST_KEY]


class RuleSet:
    """Rules that are applied one after the other."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = list(rules)
        self._words: dict[bytes, list[tuple[bytes, int]]] = {}
        """For the first two characters of a word: the literals that begin so, with the number of their rule."""
        self._literals: dict[str, list[int]] = {}
        self._shapes: dict[bytes, list[int]] = {}
        self._joined: dict[bytes, list[int]] = {}
        """For a literal that is the clue of rules: their numbers."""
        self._patterns: list[tuple[re.Pattern[str], int]] = []
        for number, rule in enumerate(self.rules):
            if rule.is_word:
                for start in rule.starts:
                    self._words.setdefault(start[:2].encode(), []).append((start.encode(), number))
                continue
            for literal in rule.starts or rule.contains:
                self._literals.setdefault(literal, []).append(number)
            for shape in rule.shapes:
                self._shapes.setdefault(shape, []).append(number)
            for shape in rule.joined:
                self._joined.setdefault(shape, []).append(number)
            if rule.needs:
                self._patterns.append((rule.needs, number))

    def apply(self, clues: Clues) -> str:
        """Return the text with what the rules find replaced."""
        text = clues.text
        for rule in self._candidates(clues):
            text = _replace(text, rule.spans(text), rule.label)
        return text

    def finds(self, text: str) -> Iterator[tuple[Rule, int]]:
        """Yield the rule and the offset of everything that is found in `text` as it is."""
        for rule in self._candidates(Clues(text)):
            for start, _ in rule.spans(text):
                yield rule, start

    def _candidates(self, clues: Clues) -> list[Rule]:
        """Return the rules whose literals are in the text. Plain loops, because this runs for each line of the log."""
        numbers: list[int] = []
        for literal, found in self._literals.items():
            if literal in clues.text:
                numbers += found
        for shape, found in self._shapes.items():
            if shape in clues.shape:
                numbers += found
        for shape, found in self._joined.items():
            if shape in clues.joined:
                numbers += found
        numbers += [number for pattern, number in self._patterns if pattern.search(clues.text)]
        for word in clues.long_words:
            numbers += self._rules_for(word)
        return [self.rules[number] for number in sorted(set(numbers))] if numbers else []

    def _rules_for(self, word: bytes) -> list[int]:
        """Return the numbers of the rules whose literals begin a word, or follow a separator in it."""
        numbers = []
        for run in ALNUM_RUN.finditer(word):
            at = run.start()
            if len(word) - at < SHORTEST_KEY:
                break
            for literal, number in self._words.get(word[at : at + 2], ()):
                if word.startswith(literal, at):
                    numbers.append(number)
        return numbers


def _replace(text: str, spans: Iterable[tuple[int, int]], label: str) -> str:
    """Replace each span by `[label]`; of two that overlap, only the first."""
    parts: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start >= done:
            parts += [text[done:start], f"[{label}]"]
            done = end
    return "".join([*parts, text[done:]]) if parts else text
