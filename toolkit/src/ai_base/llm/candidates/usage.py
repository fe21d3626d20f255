"""The token counts of a response, where a provider and the client library disagree about what they mean."""

import re
from copy import copy
from itertools import pairwise
from json import JSONDecodeError, JSONDecoder
from typing import Any, Literal

from pydantic_ai.usage import RequestUsage

type Mode = Literal["auto", "sum", "last"]

_START = re.compile(r'(?<!\\)"usage"\s*:\s*(?=\{)')
_DECODER = JSONDecoder()


def read_usage(counted: RequestUsage, body_end: bytes, mode: Mode) -> RequestUsage:
    """Return the largest credible reading of a usage report.

    Args:
        counted: As the client library counts it: the sum of all reports of a stream.
        body_end: The end of the response's body, which holds the last report.
        mode: `sum` takes `counted`, `last` the last report. `auto` takes the last report if the reports of a stream
            are cumulative (none of its counts ever falls), and the larger of the two otherwise.
    """
    reports = [] if mode == "sum" else _reports(body_end)
    usage = copy(counted)
    if reports:
        last = reports[-1]
        prompt, completion = _input_of(last), _output_of(last)
        if mode == "last" or _is_cumulative(reports) or prompt + completion > counted.total_tokens:
            usage.input_tokens, usage.output_tokens = prompt, completion
            usage.output_reasoning_tokens = min(_reasoning_of(last), completion)
            usage.cache_read_tokens = min(_cached_of(last), prompt)
            if usage.cache_write_tokens > prompt:
                usage.cache_write_tokens = 0
    return _with_reasoning(usage)


def _with_reasoning(usage: RequestUsage) -> RequestUsage:
    """Add reasoning tokens that the output does not include: there cannot be more of them than output."""
    reasoning = max(usage.output_reasoning_tokens, usage.details.get("reasoning_tokens", 0))
    if reasoning > usage.output_tokens:
        usage.output_tokens += reasoning
    usage.output_reasoning_tokens = max(usage.output_reasoning_tokens, min(reasoning, usage.output_tokens))
    return usage


def _reports(body_end: bytes) -> list[dict[str, Any]]:
    """Return the reports with a `total_tokens` in a text, in order. Reports of other forms mean what they say."""
    text, found = body_end.decode(errors="replace"), []
    for match in _START.finditer(text):
        try:
            report = _DECODER.raw_decode(text, match.end())[0]
        except JSONDecodeError:  # cut off
            continue
        if isinstance(report.get("total_tokens"), int):
            found.append(report)
    return found


def _is_cumulative(reports: list[dict[str, Any]]) -> bool:
    pairs = [(_input_of(report), _output_of(report)) for report in reports]
    never_falls = all(before[0] <= after[0] and before[1] <= after[1] for before, after in pairwise(pairs))
    return len(pairs) > 1 and never_falls


def _input_of(report: dict[str, Any]) -> int:
    return _count(report, "prompt_tokens") or _count(report, "input_tokens")


def _output_of(report: dict[str, Any]) -> int:
    """Return the output, with the reasoning tokens that some providers count in the total only."""
    output = _count(report, "completion_tokens") or _count(report, "output_tokens")
    reasoning = _reasoning_of(report)
    if reasoning > output:
        output += reasoning
    return max(output, _count(report, "total_tokens") - _input_of(report))


def _reasoning_of(report: dict[str, Any]) -> int:
    details = report.get("completion_tokens_details") or report.get("output_tokens_details")
    return _count(details, "reasoning_tokens")


def _cached_of(report: dict[str, Any]) -> int:
    details = report.get("prompt_tokens_details") or report.get("input_tokens_details")
    return _count(details, "cached_tokens")


def _count(report: object, name: str) -> int:
    value = report.get(name) if isinstance(report, dict) else None
    return value if isinstance(value, int) else 0
