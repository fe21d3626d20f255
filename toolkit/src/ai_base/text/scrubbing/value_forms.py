"""Values after a colon or an equals sign: quoted, bare, nested. Each function returns None if it finds none.

Only the patterns of values that are replaced are unbounded, so the work is linear in the length of the text.
"""

import re

from ai_base.text.scrubbing.escapes import ANY_ESCAPE as E
from ai_base.text.scrubbing.escapes import ESCAPED_QUOTES as Q
from ai_base.text.scrubbing.escapes import QUOTES
from ai_base.text.scrubbing.innocent_values import is_count, is_innocent, is_variable, is_word
from ai_base.text.scrubbing.names_of_secrets import (
    AUTHORIZATION,
    COOKIE,
    KEY,
    NATIONAL_ID,
    PASS,
    PASSWORD,
    PHONE,
    SECRET,
    TOKEN,
    Name,
)
from ai_base.text.scrubbing.nested_values import hide_strings
from ai_base.text.scrubbing.rules import compile_verbose
from ai_base.text.scrubbing.values import CREDENTIALS_LENGTH, NUMBER, Value

SEPARATOR = compile_verbose(rf"""
    (?P<closing> [{E}"']{{0,3}} ) \]? [ \xa0]*+ [{E}]?          # the end of the name, and a colour
    (?P<sign> [:=]{{1,2}}>? | [\uff1a\uff1d] | %3[AaDd] )         # also full-width, and in a query
    (?: [ \xa0] | (?![{Q}])[{E}] )*+
    (?: b (?=["']) )?                                           # bytes of Python
""")
QUOTED = compile_verbose(rf"""(?P<quote>["'{Q}]) (?P<value> (?:(?!(?P=quote))[^\n"])++ )""")
NESTING = compile_verbose(rf"""[\[{{] | \((?=["'{Q}])""")
BARE = compile_verbose(rf"""(?!\[) (?P<value> [^\s"'{E},;&()<>{{}}\]]++ )""")


def after_separator(name: Name, separator: re.Match[str]) -> Value | None:
    """Find `password=x`, `"api_key": "x"`, `headers["x-api-key"] = 'x'`, and nested values."""
    at = separator.end()
    if NESTING.match(name.text, at):
        return _nested(name, separator)
    if name.plural and name.kind is not SECRET:  # `tokens: 5`, but `credentials: x`
        return None
    if name.kind in {PHONE, NATIONAL_ID}:
        return _number(name, separator)
    if quoted := QUOTED.match(name.text, at):
        return _quoted(name, separator, quoted)
    if name.kind in {AUTHORIZATION, COOKIE}:
        return _authorization(name, at) if name.kind is AUTHORIZATION else _cookies(name, at)
    return _bare(name, separator)


def _nested(name: Name, separator: re.Match[str]) -> Value | None:
    if name.plural and name.kind is TOKEN:  # the tokens of a text
        return None
    at = separator.end()
    innocent = _is_no_number if name.kind in {PHONE, NATIONAL_ID} else _is_innocent_string
    hidden = hide_strings(name.text, at, _quote_inside(name.text, separator), name.kind.label, innocent)
    return Value(at, *hidden) if hidden else None


def _quote_inside(text: str, separator: re.Match[str]) -> str:
    """Return the quote around the strings of a list or object: the one around the name, else the first that follows."""
    closing = separator["closing"]
    quotes = [quote for quote in ('"', *QUOTES.values()) if quote in closing]
    if quotes:
        return quotes[0]
    # In a string of JSON there is no plain double quote.
    possible = ["'", *QUOTES.values()] if text.startswith(("{", "[")) else ["'", '"', *QUOTES.values()]
    ahead = text[separator.end() : separator.end() + 100]
    return min(possible, key=lambda quote: ahead.find(quote) % 101)  # the first one; -1 becomes the last


def _is_innocent_string(value: str) -> bool:
    return is_innocent(value, quoted=True)


def _is_no_number(value: str) -> bool:
    return not NUMBER.fullmatch(value)


DATE_OR_DECIMAL = compile_verbose(r"[0-9]{4}-[0-9]{2}-[0-9]{2} | [0-9]+\.[0-9]+\Z | [0-9]{1,3}(?:\.[0-9]{1,3}){3}\Z")


def _number(name: Name, separator: re.Match[str]) -> Value | None:
    at = separator.end()
    quote = name.text[at : at + 1] in {'"', "'", *QUOTES.values()}
    match = NUMBER.match(name.text, at + quote)
    if not match or DATE_OR_DECIMAL.match(match[0]) or name.text[match.end() : match.end() + 1].isalnum():
        return None
    return _value(name, separator, match.start(), match.end(), is_string=quote)


def _value(name: Name, separator: re.Match[str], start: int, end: int, *, is_string: bool) -> Value:
    """Return the value. In JSON, the replacement of a number has to be quoted."""
    quote = '"' if '"' in separator["closing"] and not is_string else ""
    return Value(start, end, f"{quote}[{name.kind.label}]{quote}")


def _quoted(name: Name, separator: re.Match[str], quoted: re.Match[str]) -> Value | None:
    value = quoted["value"]
    ends_string = not re.search("[\"']", separator["closing"]) and value.lstrip()[:1] in tuple(",:]}")
    is_compared = separator["sign"] == "==" and is_word(value)
    if ends_string or is_compared or is_innocent(value, quoted=True):  # {"event": "no password:", ...}
        return None
    if is_count(value) and name.kind is not PASSWORD:
        return None
    return Value(quoted.start("value"), quoted.end("value"), f"[{name.kind.label}]")


SCHEME = compile_verbose(r"(?:bearer|basic)[ ]+", re.IGNORECASE)


def _bare(name: Name, separator: re.Match[str]) -> Value | None:
    text, sign = name.text, separator["sign"]
    scheme = SCHEME.match(text, separator.end())
    bare = BARE.match(text, scheme.end() if scheme else separator.end())
    if not bare or is_innocent(bare["value"], text[bare.end() : bare.end() + 40], quoted=False):
        return None
    value = bare["value"]
    if name.kind in {TOKEN, KEY, SECRET} and separator[0].startswith(" ") and is_variable(value):  # an assignment
        return None
    if name.kind in {PASS, TOKEN, KEY, SECRET} and (
        is_count(value) or (sign == ":" and is_word(value) and not name.is_compound)
    ):
        return None
    if sign in {"::", "=="} and not any(map(str.isdigit, value)):  # `Token::new`, `token == other`
        return None
    return _value(name, separator, bare.start("value"), bare.end("value"), is_string=False)


SCHEME_AND_CREDENTIALS = compile_verbose(rf"""
    (?P<scheme> [A-Za-z][\w-]{{1,40}} ) [ ]+
    (?P<value>
        [\w-]+=(?:["{Q}][^"{Q}\n]*["{Q}]|[^\s,"'{E}]+) (?: ,[ ]*[\w-]+=(?:["{Q}][^"{Q}\n]*["{Q}]|[^\s,"'{E}]*) )*+
        | [^\s"'{E},;<>{{}}\[\]()]++
    )
""")
KNOWN_SCHEMES = {"basic", "bearer", "token", "apikey", "api-key", "key", "negotiate", "ntlm"}


def _authorization(name: Name, at: int) -> Value | None:
    """Find the credentials after any scheme, or without one; `authorization: denied` is a message."""
    label = f"[{name.kind.label}]"
    if match := SCHEME_AND_CREDENTIALS.match(name.text, at):
        value = match["value"]
        is_known = match["scheme"].lower() in KNOWN_SCHEMES
        if not is_innocent(value, quoted=False) and (is_known or not is_word(value)):
            return Value(match.start("value"), match.end("value"), label)
    bare = BARE.match(name.text, at)
    if not bare or (bare["value"].isalpha() and len(bare["value"]) < CREDENTIALS_LENGTH):
        return None
    if is_innocent(bare["value"], name.text[bare.end() : bare.end() + 40], quoted=False):
        return None
    return Value(bare.start("value"), bare.end("value"), label)


COOKIES = compile_verbose(rf"""[^\s=;,"'{E}]{{1,100}} = [^\s;"'{E}]* (?: ; [^\n"'{E};]* )*+""")


def _cookies(name: Name, at: int) -> Value | None:
    label = f"[{name.kind.label}]"
    if cookies := COOKIES.match(name.text, at):
        return Value(at, cookies.end(), label)
    bare = BARE.match(name.text, at)
    if bare and len(bare["value"]) >= 8 and any(map(str.isdigit, bare["value"])):  # noqa: PLR2004 - a session's id
        return Value(at, bare.end("value"), label)
    return None
