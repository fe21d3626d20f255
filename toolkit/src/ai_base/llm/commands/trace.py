"""The steps of an agent's run as a tree."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from ai_base.llm.commands.tables import money, one_line, shortened
from ai_base.llm.ledger.records import Step
from ai_base.llm.money import dollars
from ai_base.text.invisible import remove_invisible


def tree(steps: Sequence[Step], width: int) -> str:
    """Write a line for the question, each response and each of its tool calls. No text can change the terminal."""
    in_order = sorted(steps, key=lambda step: step.id)
    return "\n".join(shortened(remove_invisible(line), width) for line in _lines(in_order))


def _lines(steps: Sequence[Step]) -> Iterator[str]:
    for request, group in groupby(steps, key=lambda step: step.request):
        same_response = list(group)
        first = same_response[0]
        if not request:
            yield f"question: {one_line(first.observation)}"
            continue
        tokens = first.input_tokens + first.output_tokens
        facts = f"{tokens:,} tokens, {money(dollars(first.cost))}, {first.model_ms:.0f} ms"
        text = first.observation if first.outcome == "answer" else first.thought
        yield f"{request}. [{facts}] {one_line(text)}".rstrip()
        calls = [step for step in same_response if step.tool]
        for step in calls:
            branch = "└─" if step is calls[-1] else "├─"
            yield f"   {branch} {one_line(step.tool)}({one_line(step.arguments)})"
            below = "   " if step is calls[-1] else "│  "
            duration = f", {step.tool_ms:.0f} ms" if step.tool_ms else ""
            observation = f": {one_line(step.observation)}" if step.observation else ""
            yield f"   {below}   {one_line(step.outcome)}{duration}{observation}"
