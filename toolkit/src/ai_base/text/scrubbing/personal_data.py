"""Personal data that is recognized by its form: e-mail addresses, accounts, cards, ids, phone numbers, IP addresses.

Forms with a check digit are checked. National phone numbers and ids count where their form can be nothing else; others
are found by the name in front of them, see `named_values`.
"""

import re
from ipaddress import ip_address

from ai_base.text.scrubbing.account_numbers import ACCOUNT_RULES, NATIONAL_ID_RULES
from ai_base.text.scrubbing.rules import Rule

# What follows an `@` in names of files and units, and in versions; none of them is a top-level domain.
NOT_A_DOMAIN = re.compile(
    r"png|jpe?g|gif|svg|webp|avif|ico|css|scss|js|mjs|tsx?|jsx?|json|ya?ml|toml|txt|html?|pdf|csv|log|lock|whl|tar|gz|exe"
    r"|service|timer|socket|target|mount|slice|path|(?:rc|alpha|beta|dev|post|a|b)[0-9]+|local(?:host)?"
)
SERVICE_USERS = {"git", "hg", "svn"}  # of addresses such as git@host:path
VERSION = re.compile(
    r"(?:version|section|chapter|release|firmware|driver|build|revision|\bver\.?|\brev)[\"'\s:=v]{0,4}\Z", re.IGNORECASE
)


def _end_of_address(match: re.Match[str]) -> int:
    """Refuse `foo@2x.png`, `getty@tty1.service`, `git@host:path`."""
    local, _, domain = match[0].replace("\uff20", "@").replace("\ufe6b", "@").rpartition("@")
    ending = re.split(r"[.\uff0e]", domain)[-1].lower()
    return 0 if local in SERVICE_USERS or NOT_A_DOMAIN.fullmatch(ending) else match.end()


def _end_of_ip_v4(match: re.Match[str]) -> int:
    """Refuse version numbers, net masks, and addresses that name no other machine."""
    octets = [int(octet) for octet in match[0].split(".")]
    if max(octets) > 255 or octets[0] in {0, 127, 255}:  # noqa: PLR2004 - the largest octet
        return 0
    before = match.string[max(0, match.start() - 20) : match.start()]
    return 0 if VERSION.search(before) else match.end()


def _end_of_ip_v6(match: re.Match[str]) -> int:
    try:
        address = ip_address(match[0])
    except ValueError:
        return 0
    # `a::b` is an address too, but more often a name in C++ or Rust.
    is_name = not any(map(str.isdigit, match[0]))
    is_slice = sum(map(str.isalnum, match[0])) < 5  # noqa: PLR2004 - `[1::2]` of Python
    return 0 if is_name or is_slice or address.is_loopback or address.is_unspecified else match.end()


EMAIL_RULES = [
    Rule(
        name="E-mail address",
        label="email",
        contains=("@", "\uff20", "\ufe6b"),
        form=r"""
            (?<![\w.+-]) [\w.+-]++ (?:(?<=\w)'[\w.+-]++)?   # bob, o'brien
            [@\uff20\ufe6b]                                 # also the full-width and the small sign
            (?:[\w-]++[.\uff0e])+ [^\W\d_][\w-]+
        """,
        check=_end_of_address,
    ),
    Rule(
        name="E-mail address, encoded for HTML or a URL, or spelled against robots",
        label="email",
        contains=("&#", "&commat;", "%40", "(at)", "[at]"),
        form=r"""
            (?<![\w.+-])
            (?: [\w.+-] | (?!&\#(?:0{0,4}64|x0{0,4}40);) &\#x?[0-9a-f]{2,6}; | &(?:period|hyphen|lowbar|plus); ){1,64}+
            (?: @ | %40 | &\#(?:0{0,4}64|x0{0,4}40); | &commat; | [ ]?[(\[]at[)\]][ ]? )
            (?:
                (?: [\w-] | (?!&\#(?:0{0,4}46|x0{0,4}2e);) &\#x?[0-9a-f]{2,6}; ){1,63}+
                (?: \. | %2e | &\#(?:0{0,4}46|x0{0,4}2e); | &period; | [ ]?[(\[]dot[)\]][ ]? )
            ){1,8}
            (?: [^\W\d_] | &\#x?[0-9a-f]{2,6}; ) (?: [\w-] | &\#x?[0-9a-f]{2,6}; ){1,63}
            """,
        flags=re.IGNORECASE,
    ),
]

EXTENSION = r"(?:[ ]?(?:x|ext\.?)[ ]?[0-9]{1,6})?"
PHONE_RULES = [
    Rule(
        name="Phone number with + and the country's code",
        label="phone",
        starts=("+", "%2B"),
        form=(
            rf"""
            (?:(?<![\w+.])\+|%2B) [1-9]
            (?![0-9 ]{{0,20}}\.[0-9]+(?![.0-9]))               # not a decimal number
            (?: (?:[ ./\xa0\u2009\u202f-] | [ ]?\( | \)[ -]?)? [0-9] ){{7,14}}
            {EXTENSION} (?!\w)
        """
        ),
    ),
    Rule(
        name="Phone number with 00 and the country's code",
        label="phone",
        needs=re.compile("00[1-9]"),
        form=(rf"00(?<![\w.,/-]00)(?=[1-9][0-9]{{0,2}}[ -])(?:[ -]?[0-9]){{9,13}} {EXTENSION} (?!\w|[.:-]\w)"),
    ),
    Rule(
        name="Phone number with its area in parentheses",
        label="phone",
        starts=("(",),
        form=(
            rf"""
            (?<!\w) \(
            (?: [1-9][0-9]{{2}}\)[ -]?[0-9]{{3}}[ .-][0-9]{{4}} | 0[1-9][0-9]{{1,4}}\)(?:[ -]?[0-9]){{5,9}} )
            {EXTENSION} (?!\w|[.:-]\w)
        """
        ),
    ),
    Rule(
        name="Phone number with a leading zero, as in Europe",
        label="phone",
        needs=re.compile(r"0(?<![\w.,/-]0)[1-9][0-9]{0,4}[ ./-][0-9]"),
        form=(
            r"""
            0 (?<![\w.,/-]0)
            (?= [1-9][0-9]{1,4}[ /-]                            # 030 1234567, 0151-...
              | 6[ -][0-9]{8}                                   # 06-12345678
              | [1-9] (?P<gap>[ .-]) (?:[0-9]{2}(?P=gap)){3} )  # 01 23 45 67 89
            (?:[ ./-]?[0-9]){8,11} (?!\w|[.:-]\w)
        """
        ),
    ),
    Rule(
        name="Phone number of North America",
        label="phone",
        shapes=(b"999-999-9999", b"999.999.9999"),
        form=(
            rf"""
            (?<![\w.-]) (?:1[-. ])? [2-9][0-9]{{2}} (?P<gap>[.-]) [0-9]{{3}} (?P=gap) [0-9]{{4}}
            {EXTENSION} (?!\w|[.-]\w)
        """
        ),
    ),
]

HEX = "[0-9A-Fa-f]"
IP_RULES = [
    Rule(
        name="IP address",
        label="ip",
        needs=re.compile(r"\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]"),
        form=(
            r"""
            [0-9] (?<![\w.].) (?<![A-Za-z][/-].) (?<!==.)       # not Chrome/120.0.0.0, foo==1.2.3.4
            [0-9]{0,2}(?:\.[0-9]{1,3}){3} (?!\w|\.\w|-[A-Za-z])
        """
        ),
        check=_end_of_ip_v4,
    ),
    Rule(
        name="IP address, version 6",
        label="ip",
        needs=re.compile(f":(?::|{HEX}{{1,4}}:{HEX}{{1,4}}:{HEX}{{1,4}}:)"),
        form=(
            rf"""
            (?<![\w:.]) (?![0-9]?:[0-9]{{2}}:[0-9]{{2}}(?!:))   # not a time of day
            {HEX}{{0,4}}+ : (?:[0-9A-Fa-f:]{{0,36}}{HEX}|:) (?:(?:\.[0-9]{{1,3}}){{3}})? (?!:?\w)
        """
        ),
        check=_end_of_ip_v6,
    ),
]

PERSONAL_RULES = [*EMAIL_RULES, *ACCOUNT_RULES, *NATIONAL_ID_RULES, *PHONE_RULES, *IP_RULES]
