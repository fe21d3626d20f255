"""The token counts of a response, where a provider and the client library disagree about what they mean."""

from copy import copy
from itertools import pairwise
from json import JSONDecodeError, JSONDecoder
from typing import Any, Literal

from pydantic_ai.usage import RequestUsage

type Mode = Literal["auto", "sum", "last"]

KEY = b'"usage"'
LONGEST_REPORT = 2000
"""Bytes of a usage report that are read at most."""
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
    if reports:
        last = reports[-1]
        prompt, completion = _input_of(last), _output_of(last)
        larger = prompt + completion > counted.total_tokens
        if larger or ((mode == "last" or _is_cumulative(reports)) and prompt + completion < counted.total_tokens):
            counted = copy(counted)
            counted.input_tokens, counted.output_tokens = prompt, completion
            counted.output_reasoning_tokens = min(_reasoning_of(last), completion)
            counted.cache_read_tokens = min(_cached_of(last), prompt)
            counted.cache_write_tokens = min(counted.cache_write_tokens, prompt - counted.cache_read_tokens)
    return _with_reasoning(counted)


def _with_reasoning(usage: RequestUsage) -> RequestUsage:
    """Add reasoning tokens that the output does not include: there cannot be more of them than output."""
    reasoning = max(usage.output_reasoning_tokens, usage.details.get("reasoning_tokens", 0))
    if reasoning > usage.output_reasoning_tokens or reasoning > usage.output_tokens:
        usage = copy(usage)
        usage.output_tokens += reasoning if reasoning > usage.output_tokens else 0
        usage.output_reasoning_tokens = reasoning
    return usage


def _reports(body_end: bytes) -> list[dict[str, Any]]:
    """Return the reports with a `total_tokens` in a text, in order. The client library reads other forms correctly."""
    found: list[dict[str, Any]] = []
    at = body_end.find(KEY)
    while at >= 0:
        if body_end[at - 1 : at] != b"\\":  # not a part of the answer's text
            value = body_end[at + len(KEY) : at + LONGEST_REPORT].decode(errors="replace").lstrip(" \t\r\n:")
            try:
                report = _DECODER.raw_decode(value)[0]
            except JSONDecodeError:  # cut off
                report = None
            if isinstance(report, dict) and isinstance(report.get("total_tokens"), int):
                found.append(report)
        at = body_end.find(KEY, at + 1)
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
