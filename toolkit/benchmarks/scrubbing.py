"""What the scrubber finds and costs: `python benchmarks/scrubbing.py`, next to other tools where they are installed.

Prints the share of leaks and of false alarms on the corpora of the tests, then the time for ordinary lines and the
growth of time for hostile text. The other tools are detect-secrets, scrubadub (with setuptools), phonenumbers and
python-stdnum: `uv run --with detect-secrets,scrubadub,... python benchmarks/scrubbing.py`.
"""

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from statistics import median

from ai_base.text.scrub import scrub

CORPORA = Path(__file__).parents[1] / "tests" / "unit" / "corpora"
LOG_LINE = json.dumps(
    {
        "event": "llm attempt",
        "interaction": "3f2504e04f8941d39a0c0305e82c3301",
        "attempt": "0c0305e82c33013f2504e04f8941d39a",
        "candidate": "vendor:model-5.4-mini",
        "model": "model-5.4-mini-2026-03-17",
        "status": "ok",
        "number": 1,
        "input_tokens": 412,
        "output_tokens": 95,
        "cost_usd": "0.000231500",
        "latency_ms": 734,
        "cost_center": "support",
        "prompt": "triage",
        "prompt_version": "4f1c9a2b",
        "correlation_id": "9a0c0305e82c33013f2504e04f8941d3",
        "level": "info",
        "logger": "ai_base.llm.candidates.guard",
        "timestamp": "2026-11-23T14:05:06.123456Z",
    }
)
HOSTILE = [
    "DE89 ",
    "DE89 3704 ",
    "4111 ",
    "sk-",
    "eyJ",
    "password=",
    "password: 'not ",
    "a@a.",
    "&#98;",
    "+1 ",
    "://a:",
]

type Finder = Callable[[str], bool]
"""Says whether a tool finds anything in a line."""


def lines_of(name: str) -> list[str]:
    """Return the lines of a corpus without the marks."""
    text = (CORPORA / name).read_text(encoding="utf-8")
    return [re.sub("[⟦⟧¦]", "", line).replace("⏎", "\n") for line in text.splitlines()]


def finders() -> Iterator[tuple[str, Finder]]:
    """Yield the tools that are installed."""
    yield "ai_base", lambda line: scrub(line) != line
    if importlib.util.find_spec("detect_secrets"):
        yield "detect-secrets", detect_secrets_finder()
    if importlib.util.find_spec("scrubadub"):
        scrubber = import_module("scrubadub").Scrubber()
        yield "scrubadub", lambda line: bool(scrubber.clean(line) != line)
    if importlib.util.find_spec("phonenumbers"):
        matcher = import_module("phonenumbers").PhoneNumberMatcher
        yield "phonenumbers (US)", lambda line: any(True for _ in matcher(line, "US"))
    if importlib.util.find_spec("stdnum"):
        yield "python-stdnum", stdnum_finder()


def detect_secrets_finder() -> Finder:
    """Return detect-secrets with its default plugins and filters; it reads files."""
    collection = import_module("detect_secrets").SecretsCollection
    default_settings = import_module("detect_secrets.settings").default_settings

    def finds(line: str) -> bool:
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file, default_settings():
            file.write(line)
            file.flush()
            secrets = collection()
            secrets.scan_file(file.name)
            return bool(secrets.data)

    return finds


def stdnum_finder() -> Finder:
    """Return a search for what python-stdnum validates; it has no search of its own, so words and groups are tried."""
    names = ["iban", "br.cpf", "es.dni", "es.nie", "fr.nir", "it.codicefiscale", "us.ssn"]
    validators = [import_module(f"stdnum.{name}").is_valid for name in names]
    luhn = import_module("stdnum.luhn")

    def is_valid(number: str) -> bool:
        if number.isdigit() and 13 <= len(number) <= 19 and luhn.is_valid(number):  # noqa: PLR2004 - a card's
            return True
        return any(validate(number) for validate in validators)

    def finds(line: str) -> bool:
        words = re.findall(r"[A-Za-z0-9][A-Za-z0-9.-]*[A-Za-z0-9]|[0-9]", line)
        runs = ["".join(words[at : at + count]) for at in range(len(words)) for count in range(1, 10)]
        return any(is_valid(run) or is_valid(re.sub("[.-]", "", run)) for run in runs if any(map(str.isdigit, run)))

    return finds


def print_shares() -> None:
    """Print what each tool finds in the corpora. It counts as found if the tool finds anything in the line."""
    leaks = lines_of("leaks.txt")
    innocents = [*lines_of("innocents.txt"), *lines_of("innocents_generated.txt")]
    print(f"{'':20} {'leaks found':>14} {'false alarms':>14} {'us a line':>10}")
    for name, finds in finders():
        finds(leaks[0])
        started = time.process_time()
        found = sum(map(finds, leaks))
        alarms = sum(map(finds, innocents))
        microseconds = (time.process_time() - started) / (len(leaks) + len(innocents)) * 1e6
        print(
            f"{name:20} {found:4} of {len(leaks)} {found / len(leaks):4.0%} "
            f"{alarms:4} of {len(innocents)} {alarms / len(innocents):4.0%} {microseconds:8.0f}"
        )


def microseconds(text: str, repeats: int) -> float:
    """Return the processor time of one call, the median of nine rounds."""
    rounds = []
    for _ in range(9):
        started = time.process_time()
        for _ in range(repeats):
            scrub(text)
        rounds.append((time.process_time() - started) / repeats * 1e6)
    return median(rounds)


def print_times() -> None:
    """Print the time for ordinary lines, for ten kilobytes, and to import what is compared."""
    prose = " ".join(lines_of("innocents_generated.txt"))[:10_000]
    leaks = " ".join(lines_of("leaks.txt"))[:10_000]
    print(f"\nline of the log, {len(LOG_LINE)} characters: {microseconds(LOG_LINE, 500):.0f} us")
    print(f"10 kB of ordinary lines: {microseconds(prose, 20):.0f} us; of leaks: {microseconds(leaks, 20):.0f} us")
    for module in ("ai_base.text.scrub", "phonenumbers", "stdnum.iban", "scrubadub"):
        with suppress(subprocess.CalledProcessError):
            code = f"import time; s = time.perf_counter(); import {module}; print(time.perf_counter() - s)"
            command = [sys.executable, "-c", code]
            times = [float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(5)]
            print(f"import {module}: {min(times) * 1e3:.0f} ms")


def print_growth() -> None:
    """Print the time for hostile text of growing length; linear is ten times for ten times."""
    print(f"\n{'hostile text':20} {'10 kB':>10} {'100 kB':>10} {'growth':>8}")
    for piece in HOSTILE:
        small, large = (microseconds((piece * size)[:size], 1) for size in (10_000, 100_000))
        print(f"{piece!r:20} {small / 1e3:7.1f} ms {large / 1e3:7.1f} ms {large / small:7.1f}x")


if __name__ == "__main__":
    print_shares()
    print_times()
    print_growth()
