"""Takes personal data and secrets out of text, before it is logged or stored.

Found by form and, where there is one, check digit: e-mail addresses, phone numbers, cards, IBANs, national ids (USA,
Italy, Brazil, Spain, France), IP addresses and keys; see `scrubbing.personal_data` and `scrubbing.secret_patterns`.
Found by the name in front of them: passwords, tokens, cookies, phone numbers and ids in any form; see
`scrubbing.named_values`. Not found: names of people, postal addresses, birthdays, numbers that could be any number.
"""

import re

from ai_base.text.scrubbing.escapes import Escapes, has_escapes
from ai_base.text.scrubbing.named_values import hide_named_values
from ai_base.text.scrubbing.personal_data import PERSONAL_RULES
from ai_base.text.scrubbing.rules import Clues, RuleSet
from ai_base.text.scrubbing.secret_patterns import CONTEXT_RULES, KEY_RULES

SECRETS = RuleSet([*KEY_RULES, *CONTEXT_RULES])
PERSONAL_DATA = RuleSet(PERSONAL_RULES)
_STRING_OR_LONG_NUMBER = re.compile(r'"[^"]*+"|(?<![\w.+-])-?[0-9]{12,19}(?![\w.])')


def scrub(text: str) -> str:
    """Replace personal data and secrets by `[email]`, `[card]`, `[key]` and so on.

    The text may be a rendered log line: JSON stays valid JSON. The time is linear in the length of any text.
    """
    if not has_escapes(text):
        return _scrub(text)
    escapes = Escapes()
    return escapes.restore(_scrub(escapes.hide(text)))


def _scrub(text: str) -> str:
    clues = Clues(text)
    if text.startswith(("{", "[")) and b"9" * 12 in clues.shape:
        clues = Clues(_STRING_OR_LONG_NUMBER.sub(_quote_if_personal, text))
    # Keys come first: a key after a name may be longer than the value that the name's rule finds.
    named = hide_named_values(SECRETS.apply(clues))
    return PERSONAL_DATA.apply(clues if named == clues.text else Clues(named))


def _quote_if_personal(match: re.Match[str]) -> str:
    """Replace a personal number in JSON by a string. The other steps scrub strings."""
    if match[0].startswith('"'):
        return match[0]
    scrubbed = PERSONAL_DATA.apply(Clues(match[0]))
    return match[0] if scrubbed == match[0] else f'"{scrubbed}"'
