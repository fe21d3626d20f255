"""For tests and benchmarks: do the counters of a ledger agree with the rows behind them?"""

import json
from collections import Counter

from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import Attempt, scopes_of
from ai_base.llm.money import dollars


async def differences(ledger: Ledger) -> list[str]:
    """Compare, in one moment; what differs is told in a line each."""
    paid = "SELECT substr(started_at, 1, 13), cost_center, CAST(sum(cost) AS BIGINT) FROM attempts GROUP BY 1, 2"
    async with ledger.database.transaction(read_only=True) as execute:
        counters = await execute("SELECT scope, spent, held FROM counters ORDER BY scope")
        costs = await execute(paid)
        open_ = await execute("SELECT record FROM unfinished WHERE kind = ?", (Attempt.__name__,))
        [[days]] = await execute("SELECT CAST(coalesce(sum(cost), 0) AS BIGINT) FROM spend_by_day")
    spent, held = Counter[str](), Counter[str]()
    for hour, cost_center, cost in costs:
        spent.update(dict.fromkeys(scopes_of(hour, cost_center), cost))
    for attempt in (json.loads(text) for (text,) in open_):
        held.update(dict.fromkeys(scopes_of(attempt["started_at"], attempt["cost_center"]), attempt["reserved"]))
    told = [(f"{scope}, spent", counted, spent[scope]) for scope, counted, _ in counters]
    told += [(f"{scope}, held", counted, held[scope]) for scope, _, counted in counters]
    told += [("all days", days, sum(cost for *_, cost in costs))]
    return [f"{what}: {dollars(one):f}, by rows {dollars(other):f}" for what, one, other in told if one != other]
