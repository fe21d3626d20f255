"""Which of the objects in a reply is the answer; a broken object, reasoning or an aside never passes for it."""

import pytest
from pydantic import BaseModel, TypeAdapter

from ai_base.text.reply import Reply, ReplyError, parse_reply


class Item(BaseModel):
    item: str
    price: float
    spare: "Item | None" = None


class Options(BaseModel):
    color: str | None = None
    size: int | None = None


LAMP = Item(item="lamp", price=20)
LAMP_TEXT = '{"item": "lamp", "price": 20}'
DESK_TEXT = '{"item": "desk", "price": 95}'
PLUG_TEXT = '{"item": "plug", "price": 1}'
SCHEMA_TEXT = '{"type": "object", "properties": {"item": {"type": "string"}, "price": {"type": "number"}}}'

# ---- Broken objects ----


@pytest.mark.parametrize(
    "text",
    [
        f'{{"item":"cable, 2" long","price":10,"spare":{PLUG_TEXT}}}',
        f'{{"spare": {PLUG_TEXT}, "item": "cable, 2" long", "price": 10}}',
        f'{{"item": "a }} b" c", "price": 10, "spare": {PLUG_TEXT}}}',
        f'{{"item": "cable, 2" long", "spare": {PLUG_TEXT}',
        f'{{"item": "a }} b" c", "spare":\n{PLUG_TEXT}',
        f'{{"item": "cable" x\n```\n", "spare": {PLUG_TEXT}}}',
        f'"item": "cable", "spare": {PLUG_TEXT}',
        f'"items": [{PLUG_TEXT}, 2',
        f'"item": "cable", "price": 1}}, {PLUG_TEXT}',
        f"{{item]: 'cable' long, spare: {PLUG_TEXT}",
        f'{{item: "cable" }}x long, spare: {PLUG_TEXT}',
        f"item: 'cable', price: 10, spare: {PLUG_TEXT}",
        f"{{item]: 'cable', spare: {PLUG_TEXT}",
        f"item = cable, price = ten, spare = {PLUG_TEXT}}}",
        f"{{item: 'a }}' b', spare: {PLUG_TEXT}",
        f'[{PLUG_TEXT}, {{"item": 2" cable}}, {PLUG_TEXT}]',
        f'[\n{{"item": "2" cable", "price": 1}},\n{PLUG_TEXT}\n]',
        f'[{{"item": "2" cable", "price": 1}}, {{"item": "]"}}, {PLUG_TEXT}',
    ],
)
def test_the_inside_of_something_broken_is_never_the_answer(text: str) -> None:
    with pytest.raises(ReplyError):
        parse_reply(text, Item)


@pytest.mark.parametrize(
    "text",
    [
        f'{{"item": "lamp", "price": 20 EUR}}\nSorry, in full: {LAMP_TEXT}',
        f'```json\n{{"item": "la\n```\nAgain, in full:\n```json\n{LAMP_TEXT}\n```',
        f"['tis the answer] {LAMP_TEXT}",
        f'{{"item": <name>, "price": <number>}} becomes {LAMP_TEXT}',
        f'{{"item": "lamp"}} lacks the price: {LAMP_TEXT}',
    ],
)
def test_a_broken_object_before_the_answer_is_ignored_and_named(text: str) -> None:
    assert parse_reply(text, Item) == Reply(LAMP, ("broken object ignored",))


@pytest.mark.parametrize(
    "last",
    ['{"item": "la"mp", "price": 20}', '{"item": "lamp", "price": "unknown"}', '{"item": "lamp", "pr', "{1: 2, "],
)
def test_an_object_before_a_broken_one_is_a_draft_and_no_answer(last: str) -> None:
    with pytest.raises(ReplyError, match="an object fits, but a later one does not"):
        parse_reply(f"{DESK_TEXT}\nNo: {last}", Item)


# ---- Reasoning ----


@pytest.mark.parametrize(
    "text",
    [
        f"<think>Perhaps {DESK_TEXT}.</think>{LAMP_TEXT}",
        f"<THINKING>\n{DESK_TEXT}\n</THINKING>\n{LAMP_TEXT}",
        f"<reasoning>{DESK_TEXT}</reasoning><scratchpad>{DESK_TEXT}</scratchpad>{LAMP_TEXT}",
        f"<reflection depth='2'>{DESK_TEXT}</reflection>{LAMP_TEXT}",
        f"<think>one <think>two</think> {DESK_TEXT}</think>{LAMP_TEXT}",
        f"<think>one <think> two {DESK_TEXT}</think>{LAMP_TEXT}",
        f'<think>{{"item": "de" sk </think>{LAMP_TEXT}',
        f'I would say {DESK_TEXT} or {{"it</think>{LAMP_TEXT}',
        f"[THINK]{DESK_TEXT}[/THINK]{LAMP_TEXT}",
        f"◁think▷{DESK_TEXT}◁/think▷{LAMP_TEXT}",
        f"<|channel|>analysis<|message|>{DESK_TEXT}<|end|><|channel|>final<|message|>{LAMP_TEXT}",
    ],
)
def test_reasoning_is_skipped(text: str) -> None:
    assert parse_reply(text, Item) == Reply(LAMP, ())


@pytest.mark.parametrize(
    "end", [f"Had it been {DESK_TEXT}</reflection>", f"a <reflection>b</reflection> {DESK_TEXT}</reflection>"]
)
def test_reasoning_after_the_answer_is_skipped(end: str) -> None:
    assert parse_reply(f"{LAMP_TEXT} <reflection>{end}", Item) == Reply(LAMP, ())


def test_an_answer_without_its_last_bracket_wins_over_a_draft_in_reasoning() -> None:
    reply = parse_reply(f'<think>{DESK_TEXT}</think>{{"price": 20, "item": "lamp"', Item)

    assert reply == Reply(LAMP, ("cut off",), truncated=True)


@pytest.mark.parametrize("tag", ["<think>", "</think>", "<think>no</think>"])
def test_a_reasoning_tag_in_a_string_is_part_of_the_string(tag: str) -> None:
    text = f'{{"item": "lamp {tag}", "price": 20}}'

    assert parse_reply(text, Item) == Reply(Item(item=f"lamp {tag}", price=20), ())


def test_an_unclosed_reasoning_tag_is_named_if_one_object_ends_the_reply() -> None:
    assert parse_reply(f"<think>The lamp.\n{LAMP_TEXT}\n", Item) == Reply(LAMP, ("unclosed reasoning tag",))


@pytest.mark.parametrize("end", [f"Rather {LAMP_TEXT}", "or not, let me see", '{"item": "lamp", "pr'])
def test_a_draft_in_unclosed_reasoning_is_no_answer(end: str) -> None:
    with pytest.raises(ReplyError):
        parse_reply(f"<think>Perhaps {DESK_TEXT}. {end}", Item)


def test_reasoning_alone_is_no_answer() -> None:
    with pytest.raises(ReplyError, match="no JSON object found"):
        parse_reply(f"<think>{DESK_TEXT}</think>", Item)


# ---- Several objects that fit ----


@pytest.mark.parametrize(
    "text",
    [
        f"First {DESK_TEXT}, then {LAMP_TEXT}",
        f"{LAMP_TEXT}\nHad it been the desk, I would have said {DESK_TEXT}",
        f"Like your example {DESK_TEXT}: {LAMP_TEXT}",
        f"[{LAMP_TEXT}, {DESK_TEXT}]",
        f"If it were sold out, the final answer would be {DESK_TEXT}\n{LAMP_TEXT}",
        f"{LAMP_TEXT}\nIf it were sold out, the final answer would be {DESK_TEXT}",
        f"Final answer: {LAMP_TEXT}\nCorrected: {DESK_TEXT}",
    ],
)
def test_two_different_objects_are_refused(text: str) -> None:
    with pytest.raises(ReplyError):
        parse_reply(text, Item)


def test_the_error_says_where_both_objects_are() -> None:
    with pytest.raises(ReplyError) as caught:
        parse_reply(f"{LAMP_TEXT}\n{DESK_TEXT}", Item)

    reason = "two different objects fit, and nothing says which is final; the other is at line 1, column 1"
    assert str(caught.value) == f"line 2, column 1: {reason}"


@pytest.mark.parametrize(
    "text",
    [
        f"A draft: {DESK_TEXT}. On reflection: {LAMP_TEXT}",
        f"A draft: {DESK_TEXT}\n\n**Final answer:**\n```json\n{LAMP_TEXT}\n```",
        f"### Final answer\n{LAMP_TEXT}\n\nHad it been the desk: {DESK_TEXT}",
        f"{DESK_TEXT}\nSo the corrected version is:\n{LAMP_TEXT}",
        f"{DESK_TEXT} was my draft. <answer>{LAMP_TEXT}</answer>",
    ],
)
def test_the_object_that_is_introduced_as_final_wins_and_the_choice_is_named(text: str) -> None:
    assert parse_reply(text, Item) == Reply(LAMP, ("other objects ignored",))


def test_an_echo_of_the_schema_is_not_the_answer() -> None:
    assert parse_reply(f"{LAMP_TEXT}\nIt fits {SCHEMA_TEXT}", Item) == Reply(LAMP, ())
    with pytest.raises(ReplyError, match="this is a JSON schema, not an answer"):
        parse_reply('{"type": "object", "properties": {}, "color": "red"}', Options)


# ---- Schemas in which everything is optional ----


@pytest.mark.parametrize("text", ['{"weather": "sunny"}', '{"error": {"color": 1}}'])
def test_an_object_without_a_key_of_the_schema_does_not_fit(text: str) -> None:
    with pytest.raises(ReplyError, match="none of its keys is in the schema"):
        parse_reply(text, Options)


def test_an_unrelated_object_beside_the_answer_is_ignored() -> None:
    text = 'The log said {"status": 200}. {"color": "red"} took {"ms": 12}.'

    assert parse_reply(text, Options) == Reply(Options(color="red"), ())


def test_lists_are_told_apart_like_objects() -> None:
    numbers = TypeAdapter(list[int])

    assert parse_reply("I mean [1, 2], that is [1, 2]", numbers) == Reply([1, 2], ())
    with pytest.raises(ReplyError, match="two different objects fit"):
        parse_reply("As [1] says: [1, 2]", numbers)
