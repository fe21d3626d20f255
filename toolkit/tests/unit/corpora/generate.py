"""Writes the corpora next to it: `uv run --with faker python tests/unit/corpora/generate.py`.

Each line is made by the form that a vendor, a standard, a library or a country documents, with Faker's providers and
random characters of a fixed seed; none is made from the scrubber's patterns. In `leaks.txt` the brackets ⟦ and ⟧ mark
what has to go, and `¦` cuts keys, so that no scanner takes the file for a leak.
"""

import csv
import random
import re
import string
from pathlib import Path

from faker import Faker  # type: ignore[import-not-found, unused-ignore]

FOLDER = Path(__file__).parent
choose = random.Random(20261125)  # noqa: S311 - the same each time
Faker.seed(20261125)
ENGLISH, GERMAN, FRENCH = Faker("en_US"), Faker("de_DE"), Faker("fr_FR")

ALNUM, HEX, DIGITS, UPPER = (
    string.ascii_letters + string.digits,
    "0123456789abcdef",
    string.digits,
    string.ascii_uppercase,
)
URL64 = ALNUM + "-_"


def characters(alphabet: str, length: int) -> str:
    """Return random characters, with a digit and a letter at the ends, as a key's prefix and body have."""
    return "".join(choose.choices(alphabet, k=length))


def key(prefix: str, alphabet: str, length: int) -> str:
    """Return a marked key, cut inside of its prefix."""
    body = characters(alphabet, length - 1) + choose.choice([c for c in alphabet if c.isalnum()])
    return f"⟦{prefix[:2]}¦{prefix[2:]}¦{body}⟧"


def secret(length: int = 14) -> str:
    """Return a marked password."""
    return f"⟦{characters(ALNUM + '!#%*', length - 1)}7⟧"


ALPHABETS = {"alnum": ALNUM, "letters": string.ascii_letters, "upper": UPPER + "234567", "hex": HEX, "url64": URL64}
PLACES = [
    "using {}", "client = Client({})", "curl https://api.example.com/v1?x=1 -H 'X-Key: {}'", '{{"event": "sent {}"}}',
    "401: incorrect key provided: {}.", "export KEY={}", "({})", "value is {}, retrying",
]  # fmt: skip


def block(kind: str) -> str:
    """Return a PEM or PGP block as it stands in a line of JSON."""
    body = f"{characters(ALNUM, 64)}\\n{characters(ALNUM, 30)}="
    return f"-----BEGIN ¦{kind}-----\\n⟦{body}⟧\\n-----END ¦{kind}-----"


def keys() -> list[str]:
    """Return a line for each form of key."""
    lines = []
    with (FOLDER / "key_forms.csv").open(encoding="utf-8") as file:
        for number, form in enumerate(csv.DictReader(file)):
            marked_key = key(form["prefix"], ALPHABETS[form["alphabet"]], int(form["length"]))
            lines.append(PLACES[number % len(PLACES)].format(marked_key))
    slack = f"⟦services/T{characters(UPPER, 8)}/B{characters(UPPER, 8)}/¦{characters(ALNUM, 24)}⟧"
    jwt = f"⟦ey¦JhbGciOiJIUzI1NiJ9.ey¦J{characters(ALNUM, 40)}.{characters(URL64, 42)}x⟧"
    return [
        *lines,
        f"posting to https://hooks.slack.com/{slack}",
        f"https://discord.com/api/webhooks/⟦{characters(DIGITS, 18)}/¦{characters(URL64, 67)}a⟧",
        f"bot ⟦{characters(DIGITS, 10)}:¦AA{characters(URL64, 32)}b⟧ started",
        f"sendgrid ⟦SG.¦{characters(ALNUM, 22)}.¦{characters(ALNUM, 43)}⟧",
        f"terraform ⟦{characters(ALNUM, 14)}.¦atlasv1.¦{characters(ALNUM, 64)}⟧",
        f"mailchimp ⟦{characters(HEX, 32)}-¦us14⟧",
        f"airtable ⟦pa¦t{characters(ALNUM, 14)}.{characters(HEX, 64)}⟧",
        f"bot ⟦MT¦{characters(ALNUM, 24)}.{characters(ALNUM, 6)}.{characters(URL64, 37)}c⟧",
        f"dynatrace ⟦dt0¦c01.{characters(UPPER, 24)}.{characters(UPPER, 64)}⟧",
        f"azure ⟦{characters(ALNUM, 52)}¦JQQJ99¦{characters(ALNUM, 26)}⟧",
        f"https://example.webhook.office.com/⟦webhookb2/{ENGLISH.uuid4()}@{ENGLISH.uuid4()}/x⟧",
        f"PuTTY-User-Key-File-3: ssh-rsa Private-Lines: 1 ⟦{characters(ALNUM, 64)}⟧ Private-MAC: 1",
        f"azure ⟦aB1¦8Q~¦{characters(ALNUM, 34)}⟧",
        f"cookie of the session: {jwt}",
        f"/login?next=%2Fa%3Fkey%3D{key('ghp_', ALNUM, 36)}",
        f"private_key: -----BEGIN ¦PRIVATE KEY----- ⟦{characters(ALNUM, 64)}⟧ -----END ¦PRIVATE KEY-----",
        f"ws://host/socket?access={jwt}&v=2",
        f"hash $2b$12$⟦{characters(ALNUM, 53)}⟧ of the user",
        f"postgresql://app:{secret()}@db.example.com:5432/app",
        f"redis://:{secret(20)}@cache:6379/0",
        f"mongodb+srv://root:{secret(10)}@cluster0.example.net/?retryWrites=true",
        f"AccountName=app;AccountKey=⟦{characters(ALNUM + '+/', 86)}==⟧;EndpointSuffix=core.example.net",
        f"Endpoint=sb://app.example.net/;SharedAccessKeyName=root;SharedAccessKey=⟦{characters(ALNUM, 43)}=⟧",
        f"GET /container/file?sv=2024-11-04&se=2026-01-01&sig=⟦{characters(ALNUM, 40)}%3D⟧ 403",
        f"GET /file?X-Amz-Date=20261125T000000Z&X-Amz-Signature=⟦{characters(HEX, 64)}⟧ 403",
        *map(
            block, ["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK", "EC PRIVATE KEY"]
        ),
    ]


NAMES = [
    "password", "passwd", "pwd", "Passwort", "Kennwort", "mot de passe", "contraseña", "senha", "wachtwoord", "hasło",
    "пароль", "密码", "DB_PASSWORD", "userPassword", "client_secret", "api_key", "apiKey", "API-Key", "x-api-key",
    "access_token", "refreshToken", "auth_token", "csrf_token", "secret_key", "AWS_SECRET_ACCESS_KEY", "passphrase",
    "private_key", "encryption_key", "Ocp-Apim-Subscription-Key", "webhook_secret", "credentials", "session_key",
]  # fmt: skip
NAMED = [
    "{name}={value}", "{name}: {value}", '{{"{name}": "{value}"}}', "{{'{name}': '{value}', 'x': 1}}",
    '{name} = "{value}"', '{{"{name}": ["{value}"]}}', '{{"{name}": {{"value": "{value}"}}}}',
    '{{"a": {{"{name}": {{"old": "{value}", "new": 5}}}}}}', "('{name}', '{value}')", "[(b'{name}', b'{value}')]",
    'event {{\\"{name}\\": \\"{value}\\"}}', "headers['{name}'] = '{value}'", "{name} => '{value}'",
    '{{"name": "{name}", "value": "{value}"}}',
]  # fmt: skip


def named() -> list[str]:
    """Return lines with a name and a secret."""
    lines = [
        NAMED[number % len(NAMED)].format(name=name, value=secret()) for number, name in enumerate(NAMES + NAMES[::-1])
    ]
    options = ["--password", "--token", "--api-key", "--db-password", "--client-secret"]
    lines += [f"running: tool {option} {secret()} --verbose" for option in options]
    lines += [f"argv ['tool', '{option}', '{secret()}']" for option in options[:2]]
    lines += [f"<{tag}>{secret()}</{tag}>" for tag in ("password", "wsse:Password", "apiKey")]
    schemes = ["Bearer", "Basic", "token", "ApiKey", "Key", "Negotiate", "SharedKey", "Custom-Scheme"]
    lines += [f"Authorization: {scheme} {secret(30)}" for scheme in schemes]
    lines += [f'{{"authorization": "{scheme} {secret(30)}"}}' for scheme in schemes[:4]]
    return [
        *lines,
        f"> proxy-authorization: {secret(24)}",
        f'Authorization: Digest username="bob", realm="x", nonce="1", response="⟦{characters(HEX, 32)}⟧"',
        f"Authorization: AWS4-HMAC-SHA256 Credential=x/20261125, SignedHeaders=host, Signature=⟦{characters(HEX, 64)}⟧",
        f"Cookie: theme=dark; sid={secret(30)}",
        f"Set-Cookie: session={secret(30)}; Path=/; HttpOnly; SameSite=Lax",
        f"{{'cookie': 'sid={secret(30)}; a=b'}}",
        f"GET /?PHPSESSID=⟦{characters(HEX, 26)}⟧ 200",
        f"1 error for Login\npassword\n  String is short [type=short, input_value='{secret(7)}', input_type=str]",
        f"[{{'type': 'string_too_short', 'loc': ('password',), 'msg': 'String should have', 'input': '{secret(7)}'}}]",
        f'{{"detail":[{{"loc":["body","token"],"msg":"Value error","input":"{secret(9)}"}}]}}',
        f"the password is {secret()} as before",
        f"mein Passwort lautet {secret()}",
        f"ValueError: wrong password '{secret()}'",
        f"password%3D{secret()}&x=1",
        f"X-Auth-Token: ⟦{characters(string.ascii_lowercase, 12)}⟧",
        f"<api_key><![CDATA[{secret()}]]></api_key>",
        f"curl -u admin:{secret()} https://example.com",
        f"PIN and CVV: ⟦{characters(DIGITS, 3)}⟧",
        f"otp={secret(8)}",
        f"//registry.example.com/:_authToken={secret(36)}",
    ]


def marked(value: str) -> str:
    """Mark a whole value."""
    return f"⟦{value}⟧"


def personal() -> list[str]:
    """Return lines with personal data of several countries."""
    lines = []
    for fake in (
        ENGLISH,
        GERMAN,
        FRENCH,
        Faker("es_ES"),
        Faker("it_IT"),
        Faker("nl_NL"),
        Faker("pl_PL"),
        Faker("ja_JP"),
    ):
        mail = fake.ascii_email()
        lines += [f"mail to {marked(mail)}, please", f'{{"user": "{marked(fake.ascii_company_email())}"}}']
        lines += [
            f'{{"phone": "{marked(fake.phone_number())}"}}',
            f"tel: {marked(re.sub('x.*|[^0-9+]', '', fake.phone_number()))}",
        ]
    wide = ENGLISH.ascii_email()
    lines += [
        f"write to {marked(wide.replace('@', chr(0xFF20)))}",
        f"write to {marked(wide.replace('@', '&#64;'))}",
        f"write to {marked(wide.replace('@', '&#x40;'))}",
        f"write to {marked(wide.replace('@', '&commat;'))}",
        f"write to {marked(''.join(f'&#{ord(letter)};' for letter in wide))}",
        f"write to {marked(wide.replace('@', ' [at] '))}",
        f"/unsubscribe?who={marked(wide.replace('@', '%40'))}",
        "write to ⟦jürgen.müller@bücher.example⟧",
        '{"from": "⟦j\\u00fcrgen@b\\u00fccher.example⟧"}',
        '{"from": "⟦ada\\uff20example.com⟧"}',
        "⟦o'brien@example.ie⟧ wrote",
    ]
    for country in ("de_DE", "en_GB", "fr_FR", "nl_NL", "es_ES", "it_IT", "pl_PL", "de_AT", "de_CH", "fi_FI", "no_NO"):
        iban = Faker(country).iban()
        groups = re.findall(".{1,4}", iban)
        form = choose.choice(
            [iban, " ".join(groups), "\u00a0".join(groups), "-".join(groups), iban.lower(), " ".join(groups).lower()]
        )
        lines.append(f"account {marked(form)}, thanks")
    for issuer in ("visa", "visa16", "mastercard", "amex", "discover", "jcb16", "diners"):
        number = ENGLISH.credit_card_number(issuer)
        lines.append(f"paid with {marked(number)} today")
        if len(number) == 16:
            for gap in (" ", "-", ".", "\u00a0"):
                lines.append(f"card {marked(gap.join(re.findall('.{4}', number)))} exp 12/29")
    lines += [f"ssn {marked(ENGLISH.ssn())}" for _ in range(3)]
    lines += [f"codice {marked(Faker('it_IT').ssn())}" for _ in range(2)]
    lines += [f"documento {marked(Faker('es_ES').nif())}", f"documento {marked(Faker('es_ES').nie())}"]
    lines += [f"NIR {marked(FRENCH.ssn())}" for _ in range(2)]
    lines += [f"CPF {marked(Faker('pt_BR').cpf())}", f"BSN: {marked(Faker('nl_NL').ssn())}"]
    lines += [f"from {marked(ENGLISH.ipv4_public())} port 443" for _ in range(4)]
    lines += [f"from [{marked(ENGLISH.ipv6())}]:443" for _ in range(3)]
    lines += ["call ⟦+49 30 901820⟧", "call ⟦(030) 901 820 12⟧", "call ⟦+1 (555) 123-4567⟧", "call ⟦0151 23456789⟧"]
    lines += ["call ⟦01 42 68 53 00⟧", "call ⟦+33 (0)1 42 68 53 00⟧", "call ⟦020 7946 0958⟧", "call ⟦555-123-4567 x89⟧"]
    return [
        *lines,
        '{"phone": ⟦5551234567⟧}',
        "mobile=⟦0612345678⟧",
        '{"phones": ["⟦030 123456⟧"]}',
        "Fax: ⟦030/1234567⟧",
    ]


def write(name: str, lines: list[str]) -> None:
    """Write one line each; line feeds inside are written as ⏎."""
    text = "".join(line.replace("\n", "⏎") + "\n" for line in lines)
    (FOLDER / name).write_text(text, encoding="utf-8")


def ordinary() -> list[str]:
    """Return lines with what programs and people write, and nothing personal or secret in them."""
    lines = []
    for number in range(12):
        lines += [
            f"{ENGLISH.iso8601()} INFO request {ENGLISH.uuid4()} took {number * 37.25} ms",
            f"{ENGLISH.sentence(nb_words=12)}",
            f"{GERMAN.sentence(nb_words=12)}",
            f"ua={ENGLISH.user_agent()}",
            f"sha256:{ENGLISH.sha256()} {ENGLISH.md5()}",
            f"{ENGLISH.file_path(depth=4)} {ENGLISH.mime_type()} {ENGLISH.random_int(1, 10**9)} bytes",
            f"mac {ENGLISH.mac_address()} port {ENGLISH.port_number()} isbn {ENGLISH.isbn13()}",
            f"paid {ENGLISH.pricetag()} on {ENGLISH.date()} for {ENGLISH.numerify('order ######')}",
            f"{ENGLISH.url()}{ENGLISH.uri_path()}?page={number}&size=50",
            f"commit {ENGLISH.sha1()} by {ENGLISH.job()}",
            f"{ENGLISH.latitude()},{ENGLISH.longitude()} {ENGLISH.timezone()} {ENGLISH.unix_time():.0f}",
        ]
    return lines


if __name__ == "__main__":
    write("leaks.txt", [*keys(), *named(), *personal()])
    write("innocents_generated.txt", ordinary())
