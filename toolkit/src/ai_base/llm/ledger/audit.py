"""Checks, for tests and benchmarks, that the counters of a ledger agree with its rows."""

import json
from collections import Counter

from ai_base.llm.ledger.counters import scopes_of
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.money import dollars

START_OF_MONTH = "-01T00:00:00.000000+00:00"


async def differences(ledger: Ledger) -> list[str]:
    """Compare counters, rows and the spend by day in one snapshot. Returns a line for each difference.

    Periods from which attempts were pruned, and counters of users whose name was erased, are left out.
    """
    async with ledger.database.transaction(read_only=True) as execute:
        counters = await execute("SELECT scope, spent, held, expires FROM counters ORDER BY scope")
        attempts = await execute('SELECT started_at, cost_center, "user", cost FROM attempts')
        reservations = await execute("SELECT record FROM reservations WHERE kind = 'attempt'")
        by_day = await execute("SELECT day, CAST(sum(cost) AS BIGINT) FROM spend_by_day GROUP BY day ORDER BY day")
        pruned = await execute("SELECT max(before) FROM pruned")
    complete_from = pruned[0][0] or ""
    spent, held, spent_by_day = Counter[str](), Counter[str](), Counter[str]()
    for started_at, cost_center, user, cost in attempts:
        spent_by_day[started_at[:10]] += cost
        for scope in scopes_of(started_at, cost_center, user):
            spent[scope.key] += cost
    for (record,) in reservations:
        attempt = json.loads(record)
        for scope in scopes_of(attempt["started_at"], attempt["cost_center"], attempt["user"]):
            held[scope.key] += attempt["reserved"]
    compared = []
    for key, counted_spent, counted_held, expires in counters:
        is_erased = key.startswith("user ") and expires.endswith(START_OF_MONTH)  # see `retention.erase_user`
        period_start = key.rpartition(" ")[2]
        if period_start >= complete_from and not is_erased:
            compared += [(f"{key}, spent", counted_spent, spent[key]), (f"{key}, held", counted_held, held[key])]
    compared += [(f"spend on {day}", cost, spent_by_day[day]) for day, cost in by_day if day >= complete_from]
    return [f"{what}: {dollars(one):f}, by rows {dollars(other):f}" for what, one, other in compared if one != other]
