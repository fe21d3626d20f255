"""Forms of a name and its value that have no separator: options, elements, pairs, validation errors, sentences."""

import re
from collections.abc import Callable

from ai_base.text.scrubbing.escapes import ANY_ESCAPE as E
from ai_base.text.scrubbing.escapes import ESCAPED_QUOTES as Q
from ai_base.text.scrubbing.innocent_values import is_innocent
from ai_base.text.scrubbing.names_of_secrets import Name
from ai_base.text.scrubbing.rules import compile_verbose
from ai_base.text.scrubbing.values import Value

OPTION = compile_verbose(r"(?<![\w-]) -- [\w-]* \Z")
OPTION_VALUE = compile_verbose(rf"""
    (?: ["'],[ ] | [ ]+ )                                       # the next item of a list, or word of a command
    (?: (?P<quote>["'{Q}]) (?P<quoted>[^"'\n{Q}]+) | (?P<bare>[^\s"'{E},;()<>{{}}\[\]-][^\s"'{E}]*) )
""")


def _after_option(name: Name) -> Value | None:
    """Find `--password x`, `["--api-key", "x"]`; not `--password PASSWORD`, `--token is required`."""
    if name.kind.label != "key" or not OPTION.search(name.before):
        return None
    if not (match := OPTION_VALUE.match(name.text, name.end)):
        return None
    group = "quoted" if match["quote"] else "bare"
    value = match[group]
    is_metavar = value.isupper() and value.strip("]").replace("_", "").isalpha()
    if is_metavar or is_innocent(value, quoted=bool(match["quote"])):
        return None
    return Value(match.start(group), match.end(group), "[key]")


ELEMENT = compile_verbose(r"< [\w.:-]* \Z")
ELEMENT_VALUE = compile_verbose(
    r"[\w.:-]{0,40} (?:\s[^<>]{0,200})? > \s{0,40} (?:<!\[CDATA\[)? (?P<value>[^<\s\]][^<\]]{0,4000}) (?=<|\]\])"
)


def _in_element(name: Name) -> Value | None:
    """Find `<password>x</password>`."""
    match = ELEMENT.search(name.before) and ELEMENT_VALUE.match(name.text, name.end)
    if not match or is_innocent(match["value"].strip(), quoted=True):
        return None
    return Value(match.start("value"), match.end("value"), f"[{name.kind.label}]")


PAIR = compile_verbose(rf"""[(\[] [ ]? b?["'{Q}] [\w.-]* \Z""")
PAIR_VALUE = compile_verbose(rf"""["'{Q}],[ ]? b?(?P<quote>["'{Q}]) (?P<value>[^"'\n{Q}]+) (?P=quote) (?=[ ]?[)\]])""")
FIELD_NAME = compile_verbose(
    r"e-?mail|user(?:_?name)?|login|name|id|phone|address|(?:first|last)_?name|role|age|url|host|port|type|confirm\w*|code"
    r"|.*(?:password|token|key|secret).*"
)
NAMED_VALUE = compile_verbose(
    rf"""["'{Q}][\s,]{{1,3}}["'{Q}]?value["'{Q}]?[ ]?[:=][ ]?["'{Q}](?P<value>[^"'\n{Q}]+)""", re.IGNORECASE
)


def _in_pair(name: Name) -> Value | None:
    """Find `('api-key', 'x')` and `{"name": "api-key", "value": "x"}`; not `["password", "email"]`."""
    match = PAIR.search(name.before) and PAIR_VALUE.match(name.text, name.end)
    if match and FIELD_NAME.fullmatch(match["value"]):
        return None
    match = match or NAMED_VALUE.match(name.text, name.end)
    if not match or is_innocent(match["value"], quoted=True):
        return None
    return Value(match.start("value"), match.end("value"), f"[{name.kind.label}]")


INPUT_VALUE = compile_verbose(rf"""
    [\w.]{{0,100}} [\n{E}]{{1,3}} [ ]+ [^\n]{{0,300}}? input_value=
      ["'] (?P<text>[^\n]{{1,2000}}?) (?=["'],[ ]input_type=)
    | [\w.]{{0,100}} [\n{E}]{{1,3}} [ ]+ [^\n]{{0,300}}? input_value= (?P<number>[0-9]+) (?=,[ ]input_type=)
    | ["'{Q}],?[ ]?[)\]] [^\n]{{0,300}}? ["'{Q}]input["'{Q}]:[ ]? ["'{Q}] (?P<data>[^\n"'{Q}]+)
""")


def _in_validation_error(name: Name) -> Value | None:
    """Find Pydantic's `input_value='x'` below the field, and `'input': 'x'` after `'loc': ('password',)`."""
    if not (match := INPUT_VALUE.match(name.text, name.end)):
        return None
    group = next(group for group in ("text", "number", "data") if match[group])
    return Value(match.start(group), match.end(group), f"[{name.kind.label}]")


PROSE = compile_verbose(rf"""
    ["']? [ ]
    (?: (?:is|was|ist|lautet|est|es|è) [ ]?:?[ ] ["'{Q}`]? | ["'{Q}`] )
    (?P<value> [^\s"'{E},;()<>`]{{6,}} )
""")


def _in_sentence(name: Name) -> Value | None:
    """Find `the password is hunter2`, `wrong password 'hunter2'`; the value has letters and digits, or it is a word."""
    if name.kind.label != "key" or name.plural or not (match := PROSE.match(name.text, name.end)):
        return None
    value = match["value"]
    is_random = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    if not is_random or is_innocent(value, quoted=False):
        return None
    return Value(match.start("value"), match.end("value"), "[key]")


OTHER_FORMS: tuple[Callable[[Name], Value | None], ...] = (
    _after_option,
    _in_element,
    _in_pair,
    _in_validation_error,
    _in_sentence,
)
