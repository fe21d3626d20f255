"""Words that name a secret, a phone number or a national id, in the languages of Europe and some beyond."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, eq=False)
class Named:
    """A kind of value that is recognized by the name in front of it."""

    label: str
    words: tuple[str, ...]
    """Parts of names, in lower case. The value of `DB_PASSWORD` is found by `password`."""
    clues: tuple[str, ...] = ()
    """Shorter literals, which are searched first: each ASCII word contains one of them."""
    whole: bool = False
    """Whether a word counts only where no letter stands before it: `tel` is not found in `hotel`."""
    before: re.Pattern[str] | None = None
    """What has to stand before the word, searched at the end of the text before it."""
    not_before: re.Pattern[str] | None = None
    """What must not stand before the word."""


PASSWORD = Named(
    label="key",
    clues=(
        *(
            "pass",
            "wort",
            "woord",
            "lavra",
            "senha",
            "parola",
            "asl",
            "esl",
            "jelsz",
            "lozin",
            "sifre",
            "enord",
            "skode",
        ),
        *("salasana", "contrase"),
    ),
    words=(
        *(
            "password",
            "passwd",
            "passphrase",
            "passcode",
            "passwort",
            "kennwort",
            "wachtwoord",
            "passord",
            "adgangskode",
        ),
        *("lösenord", "losenord", "salasana", "contraseña", "contrasena", "motdepasse", "mot_de_passe", "mot de passe"),
        *("senha", "palavra-passe", "palavra_passe", "parola", "parolă", "hasło", "haslo", "heslo", "jelszó", "jelszo"),
        *(
            "lozinka",
            "şifre",
            "sifre",
            "пароль",
            "κωδικός",
            "סיסמה",
            "密码",
            "密碼",
            "パスワード",
            "비밀번호",
            "mật khẩu",
        ),
        "_pass",
    ),
)
SECRET = Named(label="key", words=("secret", "credential"))
SHORT_PASSWORD = Named(label="key", words=("pwd", "mdp", "cvv", "cvc", "otp"), whole=True)
PASS = Named(label="key", words=("pass",), whole=True)  # `pass: 12` counts tests
TOKEN = Named(
    label="key",
    words=("token", "jwt", "bearer"),
    # Parsers and models have tokens that are no secrets.
    not_before=re.compile(
        r"(?:pad|eos|bos|unk|sep|cls|mask|stop|start|end|special|per|unexpected|expected|illegal|unknown|stray|extra|last"
        r"|first|current|previous)[ _-]?\Z"
    ),
)
KEY = Named(
    label="key",
    words=("key",),
    before=re.compile(
        r"(?:api|access|secret|private|account|shared|encryption|decryption|signing|signature|master|session|auth|ssh|storage"
        r"|subscription|functions|service|client|consumer|deploy|license|host|webhook|admin|app|user|rsa|hmac)[ _-]?\Z"
    ),
)
AUTHORIZATION = Named(label="key", words=("authorization", "authorisation", "x-auth"))
COOKIE = Named(
    label="key",
    clues=("cookie", "sess", "sid"),
    words=("cookie", "phpsessid", "jsessionid", "sessionid", "connect.sid"),
)
PHONE = Named(
    label="phone",
    clues=("phone", "tel", "mob", "handy", "fax", "whatsapp", "msisdn"),
    words=(
        *(
            "phone",
            "telephone",
            "telefon",
            "téléphone",
            "telefono",
            "teléfono",
            "telefoon",
            "tel",
            "tél",
            "mobile",
            "mobil",
        ),
        *("móvil", "handy", "handynummer", "fax", "whatsapp", "msisdn", "телефон", "電話", "电话", "전화"),
    ),
    whole=True,
)
NATIONAL_ID = Named(
    label="national id",
    clues=("sn", "soc", "nino", "nationa", "dni", "nif", "cpf", "pesel", "personn", "steuer", "codice"),
    words=(
        *("bsn", "ssn", "social security number", "social_security_number", "nino", "national insurance number", "dni"),
        *("nif", "cpf", "pesel", "personnummer", "steuer-id", "steuer_id", "national_id", "codice fiscale"),
    ),
    whole=True,
)

ALL = (PASSWORD, SHORT_PASSWORD, PASS, SECRET, TOKEN, KEY, AUTHORIZATION, COOKIE, PHONE, NATIONAL_ID)

_CLUES = [(clue, kind) for kind in ALL for clue in kind.clues or kind.words]

LOOK_BACK = 60
"""Characters before a word in which the beginning of its name is looked for."""

_REST_OF_NAME = re.compile(
    r"""
    (?: [_ -]? (?: number|nummer|no\.?|nr\.?|home|work|mobile|office|confirm(?:ation)?|again|repeat|hash|value|string
      |plain|raw|old|new|current|prod|dev|test ) )?
    (?: [_-]?[0-9]{1,2} )?
    (?P<plural> s )?
    (?! [A-Za-z0-9] )
    """,
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True)
class Name:
    """A name in a text, and what kind of value it names."""

    text: str
    word: int
    """Offset of the word that was recognized."""
    end: int
    kind: Named
    plural: bool

    @property
    def before(self) -> str:
        """The text just before the word: the beginning of the name, and what stands before it."""
        return self.text[max(0, self.word - LOOK_BACK) : self.word]

    @property
    def is_compound(self) -> bool:
        """Whether the word is the last part of a name such as `X-Auth-Token`, which prose does not have."""
        return self.before[-1:] in {"-", "_"} or self.before[-1:].islower()


def names_in(text: str) -> list[Name]:
    """Return the names of secrets in `text`, from left to right."""
    lower = text.lower()
    if len(lower) != len(text):  # a few capitals have two characters in lower case
        lower = "".join(character.lower()[:1] for character in text)
    found: list[Name] = []
    for kind in _kinds_in(lower):
        for word in kind.words:
            if word in lower:
                found += _names_of(kind, word, text, lower)
    return sorted(found, key=lambda name: (name.word, -name.end))


def _kinds_in(lower: str) -> Iterable[Named]:
    """Return the kinds whose names may be in the text. A plain loop, because this runs for each line of the log."""
    if not lower.isascii():
        return ALL
    kinds = []
    for clue, kind in _CLUES:
        if clue in lower and kind not in kinds:
            kinds.append(kind)
    return kinds


def _names_of(kind: Named, word: str, text: str, lower: str) -> Iterator[Name]:
    at = lower.find(word)
    while at >= 0:
        end = at + len(word)
        if _is_name(kind, text, lower, at) and (rest := _REST_OF_NAME.match(text, end)):
            yield Name(text, at, rest.end(), kind, plural=rest["plural"] is not None)
        at = lower.find(word, end)


def _is_name(kind: Named, text: str, lower: str, at: int) -> bool:
    before = lower[max(0, at - LOOK_BACK) : at]
    if kind.before and not kind.before.search(before):
        return False
    if kind.not_before and kind.not_before.search(before):
        return False
    begins_word = not before[-1:].isalpha() or (text[at].isupper() and text[at - 1].islower())
    return begins_word or not kind.whole
