"""Takes personal data and secrets out of text, before it is logged or stored.

Found by form and, where there is one, checksum: e-mail addresses, phone numbers (international, and national forms that
can be nothing else), cards, IBANs, national ids (USA, Italy, Brazil, Spain, France; Dutch: where named), IP addresses,
keys, tokens, passwords. Not found: names, postal addresses, birthdays, cookies, and odd spellings of the above.
"""

import re
from collections.abc import Callable
from ipaddress import ip_address

# While the patterns run, each escape sequence (JSON's, and a terminal's colours) is one private character: none is cut
# in two, a line of JSON stays one, and a word may begin right after one. `_Q` is an escaped quote, `_E` any escape.
_Q, _E = "\U000f0000", "\U000f0000-\U0010ffff"
_ESCAPE = re.compile(
    rf"[\x1b\\{_E}](?:(?<=[{_E}])|(?<=\x1b)\[[0-9;]*m|(?<=\\)(?:u001b\[[0-9;]*m|"
    rf"\\{{0,7}}+(?:u[0-9a-fA-F]{{4}}|[bfnrt])|[\"\\/]))"
)
_JSON_NUMBER = re.compile(r'"[^"]*+"|(?<![\w.+-])-?[0-9]{13,19}(?![\w.])')
_NAMED = re.compile(  # `password=...`, `"api_key": "..."`, `Authorization: Bearer ...`
    r"([pstcabPSTCAB](?:(?P<secret>(?<=p)(?:assw(?:or)?d|assphrase|wd|rivate[_-]?key)|(?<=s)ecret(?:[_-]?key)?|"
    rf"(?<=t)oken|(?<=c)redentials?|(?<=a)(?:pi[_-]?key|ccess[_-]?key|uthorization))|(?<![a-z].)(?<=[bs])sn)"
    rf"[{_E}\"']{{0,3}} *+[{_E}]?[:=]{{1,2}}>?(?: |(?!{_Q})[{_E}])*+(?:(?:bearer|basic) +)?+)"
    rf"(?!(?:null|true|false|none|str)\b)(?:(?P<quote>[\"'{_Q}])(?:(?!(?P=quote))[^\n\"])++|"
    rf"(?!\[)[^\s\"'{_E},;&()<>{{}}\]]++)",
    re.IGNORECASE,
)
# The label (and the check), of what a text must hold one (a lone comma: of nothing), the pattern. Patterns begin with a
# character and look back from there, because the regex engine finds a first character fast.
_TABLE = r"""
key PRIVATE -----BEGIN[ ][A-Z ]{0,30}PRIVATE[ ]KEY-----(?:(?!-----END[ ])[\w+/=:,.\s\U000f0001-\U0010ffff-])*+
    (?:-----END[ ][A-Z ]{0,30}PRIVATE[ ]KEY-----)?
key :// (?<=://)[^\s/@:"'\U000f0000-\U0010ffff]{0,100}:[^\s/"'\U000f0000-\U0010ffff]{1,200}(?=@)
key AKIA,ASIA,ghp_,gho_,ghu_,ghs_,ghr_,github_pat_,glpat-,xox,AIza,k_live_,sk-,hf_,eyJ,earer,EARER
    (?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[0-9A-Za-z]{36,}|github_pat_\w{60,}|glpat-[\w-]{20,}|xox[abeoprs]-[\w-]{10,}
    |AIza[\w-]{35}|[rs]k_live_\w{20,}|hf_[0-9A-Za-z]{30,}
    |(?<![\w-])(?:sk-(?=[\w-]*[0-9])[\w-]{20,}|eyJ[\w-]{10,}+\.eyJ[\w-]{10,}+\.[\w-]{10,})
    |(?<=earer[ ]|EARER[ ])(?=[a-z._~+/-]*[A-Z0-9])[\w.~+/=-]{12,}
email @,%40 [\w.+-](?<![\w.+-].)[\w.+-]*+(?:@|%40)(?:[\w-]+\.)+[^\W\d_][\w-]+
iban , (?:A[DELTZ]|B[AEGHIRY]|C[HRYZ]|D[EJKO]|E[EGS]|F[IKOR]|G[BEILRT]|H[NRU]|I[ELQST]|JO|K[WZ]|L[BCITUVY]|M[CDEKNRTU]
    |N[ILO]|OM|P[KLST]|QA|R[OSU]|S[ACDEIKMOTV]|T[LNR]|UA|V[AG]|XK|YE)(?<!\w..)[0-9]{2}(?:[ -]?[A-Z0-9]){11,30}+
card , [2-6](?<![\w.].)(?=(?:[ -]?[0-9]){12})[0-9]{3,18}+(?!\w|\.\w)(?:[ -][0-9]{1,7}+(?!\w|\.\w)){0,5}+(?!-\w{4}-)
national_id - [0-9](?<![\w.-].)[0-9]{2}(?:-(?!00)[0-9]{2}-(?!0000)[0-9]{4}|\.[0-9]{3}\.[0-9]{3}-[0-9]{2})(?![\w-])
national_id , [A-Z](?<!\w.)[A-Z]{5}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z](?!\w)
national_id/spain , [0-9XYZ](?<!\w.)[0-9]{7}[A-Z](?!\w)
national_id/france , [12](?<![\w.-].)[ ]?[0-9]{2}[ ]?(?:0[1-9]|1[0-2]|[2-9][0-9])[ ]?(?:[0-9]{2}|2[AB])[ ]?[0-9]{3}
    [ ]?[0-9]{3}[ ]?[0-9]{2}(?![\w.])
phone +,%2B (?:\+(?<![\w+.].)|%2B)[1-9](?![0-9 ]*\.[0-9]+(?![.0-9]))(?:(?:[ ./\xa0-]|[ ]?\(|\)[ -]?)?[0-9]){7,14}(?!\w)
phone ( \((?<!\w.)(?:[1-9][0-9]{2}\)[ -]?[0-9]{3}[ .-][0-9]{4}|0[1-9][0-9]{1,4}\)(?:[ -]?[0-9]){5,9})(?!\w|[.:-]\w)
phone , 0(?<![\w.,/-].)(?:0(?=[1-9][0-9]{0,2}[ -])(?:[ -]?[0-9]){9,13}|(?:(?=[1-9][0-9]{1,4}[ /-]|6[ -][0-9]{8}|[1-9]
    ([ .-])[0-9]{2}\1[0-9]{2}\1[0-9]{2}\1))(?:[ ./-]?[0-9]){8,10})(?!\w|[.:-]\w)
phone , [1-9](?<![\w.-].)(?:(?<=1)[-. ][2-9])?[0-9]{2}([.-])[0-9]{3}\1[0-9]{4}(?!\w|[.-]\w)
ip . [0-9](?<![\w.].)(?<![A-Za-z][/-].)(?<!ersion[ =:].)(?<!==.)[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?!\w|\.\w|-[A-Za-z])
ip : [0-9A-Fa-f:](?<![\w:.].)(?![0-9]?:[0-9]{2}:[0-9]{2}(?!:))[0-9A-Fa-f]{0,3}+:(?:[0-9A-Fa-f:]{0,36}[0-9A-Fa-f]|:)
    (?:(?:\.[0-9]{1,3}){3})?(?!:?\w)
"""


def _is_card(digits: str) -> bool:
    lengths = {"2": [16], "3": [14, 15, 16], "4": [13, 16, 19], "5": [16, 19], "6": [16, 17, 18, 19]}  # by issuer
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return len(digits) in lengths[digits[0]] and (sum(doubled) + sum(map(int, digits[::-2]))) % 10 == 0  # Luhn


def _is_ip(run: str) -> bool:
    try:  # `a::b` is an address too, but more often a name in C++ or Rust
        return not ((ip := ip_address(run)).is_loopback or ip.is_unspecified) and any(map(str.isdigit, run))
    except ValueError:
        return False


_CHECKS: dict[str, Callable[[str], bool]] = {
    "card": _is_card,
    "iban": lambda run: (
        len(run) in range(15, 35) and int("".join(str(int(it, 36)) for it in run[4:] + run[:4])) % 97 == 1
    ),
    "spain": lambda run: "TRWAGMYFPDXBNJZSQVHLCKE"[int(run[:8].translate({88: "0", 89: "1", 90: "2"})) % 23] == run[8:],
    "france": lambda run: 97 - int(run[:13].replace("2A", "19").replace("2B", "18")) % 97 == int(run[13:] or 0),
    "ip": _is_ip,
}
_RULES = [
    (label.replace("_", " "), _CHECKS.get(check or label), marks.split(","), re.compile(pattern, re.VERBOSE))
    for name, marks, pattern in (rule.split(maxsplit=2) for rule in re.split(r"\n(?! )", _TABLE.strip()))
    for label, _, check in [name.partition("/")]
]


def scrub(text: str) -> str:
    """Replace personal data and secrets by `[email]`, `[card]`, `[key]` and so on.

    Any text will do, a rendered log line too: JSON stays JSON. The time is linear in the length, whatever the text.
    """
    escapes = {'\\"': _Q}
    text = _ESCAPE.sub(lambda it: escapes.setdefault(it[0], chr(min(0xF0000 + len(escapes), 0x10FFFF))), text)
    if text.startswith(("{", "[")) and re.search("[0-9]{13}", text):  # what takes a number's place has to be a string
        text = _JSON_NUMBER.sub(
            lambda it: it[0] if '"' in it[0] or (new := _apply(it[0])) == it[0] else f'"{new}"', text
        )
    text = _apply(_NAMED.sub(_hide, text))
    originals = {private: escape for escape, private in escapes.items()}
    return re.sub(f"[{_E}]", lambda it: originals[it[0]], text)


def _hide(named: re.Match[str]) -> str:
    json = '"' in named[1]
    if named["quote"] == '"' and not json and named[0][len(named[1]) + 1 :].lstrip()[:1] in ",:]}":
        return named[0]  # the quote ends a string of JSON: {"event": "no password:", ...}
    added = '"' * (json and not named["quote"])  # a number, as above
    return f"{named[1]}{named['quote'] or added}{'[key]' if named['secret'] else '[national id]'}{added}"


def _apply(text: str) -> str:
    for label, check, marks, pattern in _RULES:
        parts, done, at = [""], 0, 0 if any(mark in text for mark in marks) else len(text)
        while match := pattern.search(text, at):
            start, end = match.span()
            if check:  # what follows a separator may only look like a part of it, so try shorter and shorter ones
                ends = [end, *(separator.start() + start for separator in reversed([*re.finditer("[ -]", match[0])]))]
                end = next((end for end in ends if check(re.sub("[ -]", "", text[start:end]))), 0)
            at = end or start + 1
            if end:
                parts += text[done:start], f"[{label}]"
                done = end
        text = "".join([*parts, text[done:]])
    return text
