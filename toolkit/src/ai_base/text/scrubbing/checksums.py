"""Check digits and lengths that tell a card, an account or a person's number from any other number."""

# Lowest and highest first digits of an issuer, and the lengths that it uses (ISO/IEC 7812, the issuers' pages).
CARD_ISSUERS = [
    ("2200", "2204", (16, 19)),  # Mir
    ("2221", "2720", (16,)),  # Mastercard
    ("300", "305", (14,)),  # Diners Club
    ("309", "309", (14,)),
    ("34", "34", (15,)),  # American Express
    ("1800", "1800", (15,)),  # JCB
    ("2131", "2131", (15,)),
    ("3500", "3599", (16,)),
    ("36", "36", (14,)),  # Diners Club
    ("37", "37", (15,)),
    ("38", "39", (14,)),
    ("4", "4", (13, 16, 19)),  # Visa
    ("5018", "5038", (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("50", "50", (16,)),
    ("51", "55", (16,)),  # Mastercard
    ("56", "58", (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("6390", "6390", (12, 13, 14, 15, 16, 17, 18, 19)),
    ("6304", "6304", (12, 13, 14, 15, 16, 17, 18, 19)),
    ("6759", "6763", (12, 13, 14, 15, 16, 17, 18, 19)),
    ("60", "69", (16, 17, 18, 19)),  # Discover, UnionPay, RuPay, Maestro
    ("9792", "9792", (16,)),  # Troy
]

# Length of an IBAN by country (the SWIFT registry).
IBAN_LENGTHS = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "FK", "FO", "GL", "NL", "SD"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "MN", "XK"), 20),
    **dict.fromkeys(("CH", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "OM", "SO", "TL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HU", "LB", "NI", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU", "YE"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
    **dict.fromkeys(("LC",), 32),
    **dict.fromkeys(("RU",), 33),
}

DIGIT_SUM_OF_DOUBLE = str.maketrans("0123456789", "0246813579")  # of 7: 14, so 1 + 4


def is_card(digits: str) -> bool:
    """Return whether an issuer uses this beginning and length, and the Luhn check digit is right."""
    if not 12 <= len(digits) <= 19:  # noqa: PLR2004 - the shortest and the longest
        return False
    return passes_luhn(digits) and any(
        first <= digits[: len(first)] <= last and len(digits) in lengths for first, last, lengths in CARD_ISSUERS
    )


def passes_luhn(digits: str) -> bool:
    """Check a card's last digit (ISO/IEC 7812-1)."""
    doubled = digits[-2::-2].translate(DIGIT_SUM_OF_DOUBLE)
    return sum(map(int, digits[::-2] + doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """Check an IBAN's check digits (ISO 13616: the remainder by 97 is 1); upper-case, without spaces."""
    return int("".join(str(int(character, 36)) for character in text[4:] + text[:4])) % 97 == 1


def is_spanish_id(text: str) -> bool:
    """Check the letter of a DNI or, with X, Y or Z in front, an NIE."""
    number = text[:8].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == text[8]


def is_french_id(text: str) -> bool:
    """Check the key of a NIR, the French social security number; Corsica's 2A and 2B count as 19 and 18."""
    number = int(text[:13].replace("2A", "19").replace("2B", "18"))
    return 97 - number % 97 == int(text[13:])
