"""A model's text can do nothing to its reader, whole or in pieces, and keeps what it says."""

import subprocess
import sys
from html import unescape
from html.entities import html5
from itertools import cycle
from typing import Literal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ai_base.text.clean import Cleaner, clean, clean_value
from ai_base.text.invisible import remove_invisible

SCHEMES = ["javascript:", "vbscript:", "data:text/html", "data:image/svg+xml"]
PIECES = [*"!![[<&javscrpt:bd/>;#x96 \t\n\\", "java", "script:", *SCHEMES, "<b>", "</blockquote />", "&#106;", "&Tab;"]
PIECES += ["![", "\u200d", "👩", "\ufe0f", "\u0627", "\u200c", "\u200b", "\x00", "\t\t\t", "&#x6a;", "<script>", "é"]
PIECES += [
    "&ZeroWidthSpace;",
    "&#8238;",
    "&#xE0041;",
    "&zwj",
    "&shy",
    "&lt;",
    "&#8217;",
    "&#0000",
    "\U000e0041",
    "\ud800",
]
ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
HOSTILE = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=25).map("".join)
INVISIBLE = [*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x61C, *range(0x200B, 0x2010), *range(0x2028, 0x202F)]
INVISIBLE += [*range(0x2060, 0x2070), 0xFE0F, 0xFEFF, 0xFFFC - 1, *range(0xE0000, 0xE0080), 0xE0100, 0x1D173]


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
        ("data:text/html;base64,PHN", "data:text/htm l;base64,PHN"),
        (
            "java&#9;script:x &#106;ava &#x6A; &#0000106;",
            "java&amp;#9;script:x &amp;#106;ava &amp;#x6A; &amp;#0000106;",
        ),
        ("java&Tab;script&colon;x&NewLine;", "java&amp;Tab;script&amp;colon;x&amp;NewLine;"),
        (r"[x](javascript\:alert(1))", r"[x](javascript\ :alert(1))"),
        (r"[x](data\:text\/html,y)", r"[x](data\:text\/htm l,y)"),
        ("[x](<java" + "\t" * 500 + "script:y>)", "[x](&lt;java" + "\t" * 500 + "script :y>)"),
        ("data:image/svg+xml,x DATA:application/xml,x", "data:image/svg+xm l,x DATA:application/xm l,x"),
        ("livescript:x feed:javascript:x", "livescript :x feed:javascript :x"),
        ("data&colon;text&sol;html", "data&amp;colon;text&amp;sol;html"),
        ("&#8238; &#X202e &#x0000202e;", "&amp;#8238; &amp;#X202e &amp;#x0000202e;"),
        ("a&ZeroWidthSpace;b&shy;c&shyd&zwj;&lrm;", "a&amp;ZeroWidthSpace;b&amp;shy;c&amp;shyd&amp;zwj;&amp;lrm;"),
        ("&#xE0041; &#917569; &#xFE0F; &#65279;", "&amp;#xE0041; &amp;#917569; &amp;#xFE0F; &amp;#65279;"),
        ("&#99999999; &#x110000; &#;", "&amp;#99999999; &amp;#x110000; &amp;#;"),
    ],
)
def test_what_could_act_or_hide_is_defused(text: str, cleaned: str) -> None:
    stream = Cleaner()

    assert clean(text) == cleaned
    assert "".join(map(stream.feed, text)) + stream.close() == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "a < b, b > c, 1<2, <3, a & b, wow! [x](https://x.example/?a=1&b=2)",
        "<b>x</b> <br> <br /> <CODE>y</CODE> <ul><li>z</li></ul> <blockquote>q</blockquote>",
        "&lt;b> &amp; &eacute; &#39; &#34; &#233; &#8217; &#x2019; &#x27; &#x1F600; &nbsp; &#160; AT&T R&D",
        "👩‍👩‍👧 ❤️‍🔥 👍🏽 1️⃣ 🏳️‍🌈 ©️",
        "می‌خواهم क्‍ष",
        "javascript is a language; data:image/png;base64,iVBOR; see text/html; the data: in xml",
        "Zeilen\n\tmit Umlauten: äöü ß „ja“ 中文 日本語 עברית",
    ],
)
def test_what_is_harmless_stays(text: str) -> None:
    assert clean(text) == text


def test_html_keep_leaves_every_angle_bracket() -> None:
    assert clean("List<int> <b onclick=x> ![x](y)\x00", html="keep") == "List<int> <b onclick=x> [x](y)"
    assert clean("List<int>") == "List&lt;int>"


@pytest.mark.parametrize("code", INVISIBLE)
def test_no_reference_decodes_to_an_invisible_character(code: int) -> None:
    for reference in (f"&#{code};", f"&#x{code:x};", f"&#X{code:06X}", f"&#{code:07}"):
        assert unescape(clean(f"a{reference}z")) == f"a{reference}z"


@pytest.mark.parametrize("name", [name for name in html5 if any(ord(each) in INVISIBLE for each in html5[name])])
def test_no_name_decodes_to_an_invisible_character(name: str) -> None:
    assert unescape(clean(f"a&{name}z")) == f"a&{name}z"


@ANY_SPEED
@given(
    text=HOSTILE,
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=9),
    html=st.sampled_from(["escape", "keep"]),
)
@example(text="wow![a](b) <script> java\nscript:x &ZeroWidthSpace; &#8238; \U000e0041", sizes=[1], html="escape")
def test_the_result_does_not_depend_on_where_a_stream_is_cut(
    text: str, sizes: list[int], html: Literal["escape", "keep"]
) -> None:
    cleaner, left, every = Cleaner(html), text, cycle(sizes)
    streamed = ""
    while left:
        size = next(every)
        streamed += cleaner.feed(left[:size])
        left = left[size:]

    assert streamed + cleaner.close() == clean(text, html)


@pytest.mark.parametrize("end", ["javascript\n", "javascript\\", "java", "data:text/htm", "&ZeroWidth", "<", "!"])
def test_a_stream_that_ends_early_is_cleaned_as_the_whole_text(end: str) -> None:
    cleaner = Cleaner()

    assert "".join(cleaner.feed(character) for character in f"see {end}") + cleaner.close() == clean(f"see {end}")


@ANY_SPEED
@given(text=HOSTILE, html=st.sampled_from(["escape", "keep"]))
def test_cleaning_twice_changes_nothing_more(text: str, html: Literal["escape", "keep"]) -> None:
    cleaned = clean(text, html)

    assert clean(cleaned, html) == cleaned


@pytest.mark.parametrize("piece", [*PIECES, *(scheme[:-1] for scheme in SCHEMES), "j\t\t\t\t\t\t\t\t", "<b", "&#"])
def test_a_stream_holds_back_little(piece: str) -> None:
    cleaner = Cleaner()

    emitted = sum(len(cleaner.feed(character)) for character in (piece + "x") * 100 + piece * 1000)

    assert len(cleaner.close()) <= 50
    assert emitted > 0 or not clean(piece * 3000)


def test_plain_words_are_not_held_back() -> None:
    cleaner = Cleaner()

    assert [cleaner.feed(piece) for piece in ["Hello", " wor", "ks", ". It"]] == ["Hello", " wor", "ks", ". It"]
    assert cleaner.feed(" is Javascript") == " is Javascript"
    assert cleaner.feed(": &am") == " : "
    assert cleaner.feed("p;") == "&amp;"


def test_every_string_of_a_value_is_cleaned() -> None:
    value = clean_value({"a\x00": ["<i>", "<script>", {"b": "![x](y)"}], "n": 1.5, "t": True, "z": None})

    assert value == {"a": ["<i>", "&lt;script>", {"b": "[x](y)"}], "n": 1.5, "t": True, "z": None}
    assert clean_value(["<script>"], html="keep") == ["<script>"]


def test_for_a_terminal_only_the_invisible_goes() -> None:
    assert (
        remove_invisible("\x1b[31m<b onclick=x> ![a](b) &#8238;\u202e 👩\u200d👩")
        == "[31m<b onclick=x> ![a](b) &#8238; 👩\u200d👩"
    )


def test_hostile_text_takes_linear_time() -> None:
    """Quadratic time would be hours for these texts; linear time is seconds. The limit only ends the hours."""
    pieces = [
        "!",
        "[",
        "<",
        "&",
        "j",
        "java\t\t\t\t",
        "javascript",
        "<b",
        "&#",
        "\u200d",
        "data:text/",
        "\\",
        ":",
        "&Tab",
    ]
    script = f"from ai_base.text.clean import clean; [clean((piece * 200_000)[:200_000]) for piece in {pieces!r}]"

    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)
