"""What is personal or secret goes, what only looks like it stays, and neither JSON nor colours break."""

import json
import random
from typing import Any

import pytest

from ai_base.text.scrub import scrub

GITHUB = "ghp_" + "a1B2c3D4e5" * 4  # put together here, so that no scanner finds a key in this file
JWT = ".".join(["eyJ" + "hbGciOiJIUzI1NiJ9", "eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0", "abcDEF123-_abcDEF"])
PEM = "-----BEGIN RSA {0} KEY-----\nMIIEpAIB\nAAKCAQ==\n-----END RSA {0} KEY-----".format("PRIVATE")
CARD = "4111 1111 1111 1111"
PERSONAL = [
    "bob@example.com",
    CARD,
    "+1 (555) 123-4567",
    "DE89 3704 0044 0532 0130 00",
    "123-45-6789",
    "10.1.2.3",
    GITHUB,
]


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("Mail bob.smith+x@mail.example.co.uk.", "Mail [email]."),
        ("'bob@x.com', <eve@x.com>, mailto:bob%40x.com?x=1", "'[email]', <[email]>, mailto:[email]?x=1"),
        ("jürgen@bücher.example", "[email]"),
        ("p@ss@example.com", "p@[email]"),
        ("+1 (555) 123-4567, +442079460958", "[phone], [phone]"),
        ("+49 (0)30 123456; +33.6.12.34.56.78; %2B15551234567", "[phone]; [phone]; [phone]"),
        ("0049 30 1234567 or 030 1234567 or (030) 1234567", "[phone] or [phone] or [phone]"),
        ("06 12 34 56 78, 06-12345678, 020 7946 0958", "[phone], [phone], [phone]"),
        ("(555) 123-4567 555-123-4567 1-800-555-0199 555.123.4567", "[phone] [phone] [phone] [phone]"),
        (f"{CARD} 12/27, 4111-1111-1111-1111", "[card] 12/27, [card]"),
        ("5555555555554444 378282246310005 3782 822463 10005 6011111111111117", "[card] [card] [card] [card]"),
        (f"in 2026 {CARD} 10.50", "in 2026 [card] 10.50"),
        ("DE89 3704 0044 0532 0130 00 THANKS", "[iban] THANKS"),
        ("GB82WEST12345698765432 NL91ABNA0417164300", "[iban] [iban]"),
        ("NO93 8601 1117 947.", "[iban]."),
        ("SSN 123-45-6789, CPF 123.456.789-09", "SSN [national id], CPF [national id]"),
        ("12345678Z X1234567L RSSMRA85T10A562S", "[national id] [national id] [national id]"),
        ("1 85 05 78 006 084 91 and 255081416802538", "[national id] and [national id]"),
        ("BSN: 123456782", "BSN: [national id]"),
        ("10.1.2.3:8080 from 192.0.2.1-192.0.2.9", "[ip]:8080 from [ip]-[ip]"),
        ("2001:db8::1: refused, [2001:db8::8a2e:370:7334]:443", "[ip]: refused, [[ip]]:443"),
        (f"key {GITHUB}", "key [key]"),
        ("AKIA" + "IOSFODNN7EXAMPLE", "[key]"),
        ("sk-" + "proj-abc123def456ghi789", "[key]"),
        ("hf_" + "a" * 34 + " glpat-" + "b" * 20 + " xoxb-" + "1" * 12, "[key] [key] [key]"),
        ("AIza" + "c" * 35 + " sk_live_" + "d" * 24 + " github_pat_" + "e" * 60, "[key] [key] [key]"),
        (JWT, "[key]"),
        (f"Authorization: Bearer {JWT}", "Authorization: Bearer [key]"),
        ("sent Bearer abcDEF123456 and Basic", "sent Bearer [key] and Basic"),
        ("authorization=Basic dXNlcjpwYXNz", "authorization=Basic [key]"),
        ("password=hunter2 passwd: hunter2, pwd='hunter 2'", "password=[key] passwd: [key], pwd='[key]'"),
        ('DB_PASSWORD = "correct horse" SERVICE_API_KEY=abc', 'DB_PASSWORD = "[key]" SERVICE_API_KEY=[key]'),
        (
            "?token=abc&x=1 {'api_key': 'abc'} client_secret=x;",
            "?token=[key]&x=1 {'api_key': '[key]'} client_secret=[key];",
        ),
        ("postgresql://user:p@ss@host:5432/db", "postgresql://[key]@host:5432/db"),
        (f"before\n{PEM}\nafter", "before\n[key]\nafter"),
        (f"{PEM[:50]}", "[key]"),
    ],
)
def test_what_is_personal_or_secret_is_replaced(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed
    assert scrub(scrubbed) == scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T14:05:06.123456+00:00 2026-11-23 14:05:06,123 23.11.2026 05/06/2026 14:05 01-02-2026 12:00",
        "1763900000 1763900000000 1763900000000000 1763900000000000000 20261123T140506Z 261123-1405",
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301 3f2504e04f8941d39a0c0305e82c3301 d41d8cd98f00b204e9800998ecf8427e",
        "v1.2.3 1.2.3.4.5 version 1.2.3.4 foo==1.2.3.4 Chrome/120.0.0.0 react@18.2.0 foo-1.2.3.4.tar.gz",
        "$1,234.56 1.234,56 EUR +12.5 % 0.4111111111111111 1e+15 -4111 +1234567.89 10.000.000 1 234 567",
        "4111111111111112 1234567890123456 GB82WEST12345698765433 12345678A 123456782 999.1.1.1 000123456789",
        'File "/app/x.py", line 1234, in f\n    return g(a @ b.T)\nValueError: 5 != 7',
        "127.0.0.1 ::1 0.0.0.0 std::vec a::b 00:1a:2b:3c:4d:5e 14:05:06 aa:bb:cc:dd:ee:ff:00:11:22:33",
        "tokens=5 input_tokens: 7 token: null password: str, secrets the bearer of bad news, risk-averse task-1",
        "https://example.com/a:b@c ssh user@localhost @app.get('/x') http 200 512 1234 (see 555) 2026",
    ],
)
def test_text_that_only_looks_personal_or_secret_stays(text: str) -> None:
    assert scrub(text) == text


def test_a_line_of_json_stays_json() -> None:
    record = {
        "numbers": [4111111111111111, 5, -4111111111111111],
        "password": 12345,
        "token": None,
        "api_key": 'a"b\\c',
        "event": "enter password:",
        "text": "line\nbob@example.com\t4111111111111111\r+15551234567",
        "nested": json.dumps({"password": "correct horse", "n": f"a\n{CARD}"}),
        "pem": PEM,
        "id": 255081416802538,
        "tokens": 4111,
    }

    for ascii_only in (True, False):
        assert json.loads(scrub(json.dumps(record, ensure_ascii=ascii_only))) == {
            "numbers": ["[card]", 5, "-[card]"],
            "password": "[key]",
            "token": None,
            "api_key": "[key]",
            "event": "enter password:",
            "text": "line\n[email]\t[card]\r[phone]",
            "nested": '{"password": "[key]", "n": "a\\n[card]"}',
            "pem": "[key]",
            "id": "[national id]",
            "tokens": 4111,
        }


def test_any_line_of_json_stays_json() -> None:
    choose = random.Random(0)  # noqa: S311 - the same each time
    pieces = [
        *PERSONAL,
        PEM,
        JWT,
        *"\"\\\n\t,:{}[] =é'",
        "\x1b[31m",
        "\\n",
        '\\"',
        "password",
        "token=",
        "://u:p@h",
        "1",
        "n",
    ]

    def value(depth: int) -> Any:
        kind = choose.random()
        if kind < 0.1:
            return choose.choice([4111111111111111, -4111111111111111, 1.5, None, True, 255081416802538])
        if kind < 0.3 and depth:
            return [value(depth - 1), {text(): value(depth - 1), text(): json.dumps(value(depth - 1))}]
        return text()

    def text() -> str:
        return "".join(choose.choices(pieces, k=choose.randrange(8)))

    for _ in range(1000):
        line = json.dumps({text(): value(3), text(): value(3)}, ensure_ascii=choose.random() < 0.5)
        json.loads(scrub(line))


def test_scrubbing_twice_changes_nothing_more() -> None:
    choose = random.Random(0)  # noqa: S311 - the same each time
    pieces = [*PERSONAL, PEM, JWT, *"\"'{}[],:=\n", "password", "token:", "://u:p@h", "1", "word", "2026-11-23"]

    for _ in range(1000):
        scrubbed = scrub(" ".join(choose.choices(pieces, k=12)))
        assert scrub(scrubbed) == scrubbed


@pytest.mark.parametrize("code", ["\x1b[35m", "\x1b[1;31m", "\\u001b[0m"])
@pytest.mark.parametrize("personal", PERSONAL)
def test_secrets_between_colour_codes_are_replaced(code: str, personal: str) -> None:
    scrubbed = scrub(f"{code}x{code}={code}{personal}{code}")

    assert scrubbed.startswith(f"{code}x{code}={code}[")
    assert scrubbed.endswith(f"]{code}")
    assert personal not in scrubbed
    assert scrub(f"password{code}={code}hunter2{code}") == f"password{code}={code}[key]{code}"
