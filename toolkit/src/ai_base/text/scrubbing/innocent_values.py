"""Values after the name of a secret that are not secret: messages, types, placeholders, code."""

import re

_WORDS = """
    a abgelaufen absent accepted access an and any are array at be been blank bool boolean both but by bytes
    callable can cannot changed char check checking cleared cls confirm could created darf datetime default
    deleted denied dict different disabled each empty enabled ensure enter erforderlich error example
    exception expected expired failed failure falsch false falta fehlt field filtered float for forbidden
    forgotten found from given granted had has have hidden if in incorrect input int integer invalid is ist it
    its leer list literal login long malformed mandatory manquant map masked may might mismatch mismatched
    missing muss must my n/a nan needed nicht nil no none not null number object of off ok okay omitted on
    only optional or our permission permitted placeholder please present provided redacted refused rejected
    removed requerido required requis reset retry revoked rotated same saved scrubbed secretbytes secretstr
    see self sensitive set shall short should str string strong success successful tbd text that the their
    this to todo too true tuple unable unauthenticated unauthorized undefined unexpected ungültig union
    unknown unset updated use using uuid valid value varchar verified warning was weak were when will wird
    with would wrong yes your
"""
WORDS = frozenset(_WORDS.split())
"""First words of messages, names of types and placeholders, in lower case."""

_HAS_CONTENT = re.compile(r"[^\W_]")
_PLACEHOLDER = re.compile(
    r"[$]\{?[A-Z_][A-Z0-9_]*\}?|%[srd]|%\(\w+\)[srd]|<.*>|\{.*\}|\[.*\]|[xX]{3,}|\*{3,}.*", re.DOTALL
)
_SENTENCE = re.compile(r"[A-Z][a-z]+(?:'[a-z]+)?,?[ ]+[a-z]+\b")  # "Field required", "Signature has expired"
_TYPE = re.compile(r"(?:[A-Z][A-Za-z]*)?(?:Secret|Token|Credential|Password|Key|Auth|Str)[A-Za-z]*")
_CODE = re.compile(
    r"(?:self|cls|os|env|settings|config|cfg|args|kwargs|request|req|process|var|local|data|secrets)\.[\w.]+\[?"
)
_INDEXED = re.compile(r"[A-Za-z_.]+\[")  # `data["key"]`, `Optional[str]`
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z_.]*")
_SECRET_WORD = re.compile(r"pass|pwd|bearer|secret|token|key|cred|auth|cookie", re.IGNORECASE)


def is_innocent(value: str, following: str = "", *, quoted: bool) -> bool:
    """Return whether `value`, which follows the name of a secret, is not the secret itself.

    `following` is the text after a bare value.
    """
    if not _HAS_CONTENT.search(value) or _PLACEHOLDER.fullmatch(value):
        return True
    words = value.split(None, 1)
    first = words[0].lower().rstrip(".,;:!?)|")
    if quoted:
        return first in WORDS and (len(words) > 1 or first == value.lower())
    return first in WORDS or _SENTENCE.match(value + following) is not None or _is_code(value, following)


def _is_code(value: str, following: str) -> bool:
    """Return whether a bare value is code: a name as in `token=self.token`, a type, or a call."""
    if _CODE.fullmatch(value) or _TYPE.fullmatch(value) or _INDEXED.match(value):
        return True
    if not _IDENTIFIER.fullmatch(value):
        return False
    is_variable = _SECRET_WORD.search(value) is not None and (value.islower() or value.isupper())
    return is_variable or following.startswith(("(", "["))


def is_word(value: str) -> bool:
    """Return whether a value is a plain word in lower case, not a random string."""
    return value.isalpha() and value.islower() and len(value) < 16  # noqa: PLR2004 - random strings are longer


def is_count(value: str) -> bool:
    """Return whether a value is a number of tokens, a price or the like."""
    return re.fullmatch(r"-?[0-9]{1,3}|-?[0-9]+\.[0-9]+(?:e-?[0-9]+)?", value) is not None


def is_variable(value: str) -> bool:
    """Return whether a value could be a name in a program: `token = Name.Label`."""
    return _IDENTIFIER.fullmatch(value) is not None
