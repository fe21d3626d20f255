"""Numbers with a fixed form, most with a check digit: accounts, cards, national ids."""

import re

from ai_base.text.scrubbing.checksums import IBAN_LENGTHS, is_card, is_french_id, is_iban, is_spanish_id
from ai_base.text.scrubbing.rules import Rule

GAP = r"[ .\xa0\u2009\u202f-]"  # between the groups of a long number: space, dot, hyphen, thin and no-break spaces
TWELVE_DIGITS = (b"9" * 12, b"9999.9999.9999", b"9999.999999.9999")


def _compact(text: str) -> str:
    return re.sub(GAP, "", text)


def _end_of_iban(match: re.Match[str]) -> int:
    """Count as many characters as the country's accounts have; what follows is other text."""
    length = IBAN_LENGTHS.get(match[0][:2].upper(), 0)
    ends = [at for at in range(len(match[0])) if match[0][at].isalnum()]
    if not length or len(ends) < length:
        return 0
    end = match.start() + ends[length - 1] + 1
    is_whole = not match.string[end : end + 1].isalnum()
    return end if is_whole and is_iban(_compact(match.string[match.start() : end]).upper()) else 0


def _end_of_card(match: re.Match[str]) -> int:
    return match.end() if is_card(match[0]) else 0


def _end_of_grouped_card(match: re.Match[str]) -> int:
    """Try with and without the last two groups: after a space they may be another number."""
    groups = match[0].split(match["gap"])
    fewest = len(groups) - 2 if match["gap"] == " " else len(groups)
    for count in range(len(groups), fewest - 1, -1):
        if is_card("".join(groups[:count])):
            return match.start() + len(match["gap"].join(groups[:count]))
    return 0


def _end_of_spanish_id(match: re.Match[str]) -> int:
    return match.end() if is_spanish_id(match[0].replace("-", "")) else 0


def _end_of_french_id(match: re.Match[str]) -> int:
    return match.end() if is_french_id(match[0].replace(" ", "")) else 0


# Each form begins with a character and looks back from there: the engine finds a literal beginning faster.
ACCOUNT_RULES = [
    Rule(
        name="IBAN",
        label="iban",
        joined=(b"9" * 10, b"9999.9999.99"),  # IBANs may hold letters, but none in use has fewer digits in a row
        form=(rf"(?<!\w) [A-Za-z]{{2}}[0-9]{{2}} (?:{GAP}?[A-Za-z0-9]){{11,30}}"),
        check=_end_of_iban,
    ),
    Rule(
        name="Card",
        label="card",
        joined=TWELVE_DIGITS,
        form=(r"[1-9] (?<!\w.) (?<!\w-.) (?<![0-9]\..) [0-9]{11,18} (?!\w|\.[0-9])"),
        check=_end_of_card,
    ),
    Rule(
        name="Card in groups of four, or of four, six and up to five",
        label="card",
        joined=TWELVE_DIGITS,
        form=(
            rf"""
            [2-9] (?<!\w.) (?<!\w-.) (?<![0-9]\..)
            [0-9]{{3}} (?P<gap>{GAP})
            (?: [0-9]{{4}}(?P=gap)[0-9]{{4}} (?:(?P=gap)[0-9]{{1,4}}(?![0-9])){{0,2}} | [0-9]{{6}}(?P=gap)[0-9]{{4,5}} )
            (?!\w|[.-][0-9])
        """
        ),
        check=_end_of_grouped_card,
    ),
]

NATIONAL_ID_RULES = [
    Rule(
        name="USA, social security number",
        label="national id",
        shapes=(b"999-99-9999",),
        form=(r"(?<![\w.-]) (?!000|666)[0-9]{3} - (?!00)[0-9]{2} - (?!0000)[0-9]{4} (?![\w-])"),
    ),
    Rule(
        name="Brazil, CPF",
        label="national id",
        shapes=(b"999.999.999-99",),
        form=(r"(?<![\w.-]) [0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2} (?![\w-])"),
    ),
    Rule(
        name="Italy, codice fiscale",
        label="national id",
        shapes=(b"aaaaaa99a99a999a",),
        form=r"(?<!\w) [A-Z]{6} [0-9]{2} [A-EHLMPRST] [0-9]{2} [A-Z] [0-9]{3} [A-Z] (?!\w)",
        flags=re.IGNORECASE,
    ),
    Rule(
        name="Spain, DNI and NIE",
        label="national id",
        shapes=(b"9999999a", b"9999999-a"),
        form=(r"[0-9XYZ] (?<![\w-].) -?+ [0-9]{7} -? [A-Z] (?![\w-])"),
        check=_end_of_spanish_id,
    ),
    Rule(
        name="France, NIR",
        label="national id",
        joined=(b"9" * 13, b"999999a999999"),
        form=(
            r"""
            [12] (?<![\w.-].)                                  # sex
            [ ]?[0-9]{2} [ ]?(?:0[1-9]|1[0-2]|[2-9][0-9])      # year and month of birth
            [ ]?(?:[0-9]{2}|2[AB]) [ ]?[0-9]{3} [ ]?[0-9]{3}   # place and number
            [ ]?[0-9]{2} (?![\w.])                             # key
        """
        ),
        check=_end_of_french_id,
    ),
]
