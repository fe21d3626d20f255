"""The example's logic, the 10 %: a ticket goes in, a triage comes out. Replace it with yours; it is never updated."""

from ai_base.llm import Answer, Gateway

from .triage import Triage


async def triage_ticket(gateway: Gateway, ticket: str) -> Answer[Triage]:
    """Ask where a ticket belongs; when no model can tell, a person should look at it soon."""
    return await gateway.ask(
        "triage",
        {"ticket": ticket},
        output_type=Triage,
        cost_center="support",
        fallback=lambda: Triage(category="other", urgency=3, summary=ticket.strip()[:200] or "(empty)", confidence=0),
    )
