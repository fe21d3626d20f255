"""Replaces values that are recognized by the name in front of them: `password=...`, `phone: ...`."""

import re

from ai_base.text.scrubbing.names_of_secrets import NATIONAL_ID, PHONE, Name, names_in
from ai_base.text.scrubbing.other_forms import OTHER_FORMS
from ai_base.text.scrubbing.value_forms import SEPARATOR, after_separator
from ai_base.text.scrubbing.values import NUMBER, Value

DOCSTRING_FIELD = re.compile(r":(?:param|type|arg|ivar|raises)[ ][\w ]*\Z")


def hide_named_values(text: str) -> str:
    """Replace the values of passwords, tokens, keys, cookies, phone numbers and national ids."""
    parts: list[str] = []
    done = 0
    for name in names_in(text):
        if name.word < done:  # a part of the last value
            continue
        if value := _find_value(name):
            parts += [text[done : value.start], value.replacement]
            done = value.end
    return "".join([*parts, text[done:]]) if parts else text


def _find_value(name: Name) -> Value | None:
    """Return the value that follows a name, in any form; None if there is none."""
    if DOCSTRING_FIELD.search(name.before):
        return None
    if separator := SEPARATOR.match(name.text, name.end):
        return after_separator(name, separator)
    value = next((value for form in OTHER_FORMS if (value := form(name))), None)
    if value and name.kind in {PHONE, NATIONAL_ID} and not NUMBER.match(name.text, value.start):
        return None
    return value
