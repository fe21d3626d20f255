"""Money: US dollars in configuration and reports, integer nanodollars in the ledger."""

from decimal import Decimal

NANO = 1_000_000_000
"""Nanodollars per dollar. Integers never drift, and the cheapest token costs several nanodollars."""


def dollars(nanodollars: int) -> Decimal:
    """Convert nanodollars to US dollars, exactly."""
    return Decimal(nanodollars) / NANO


def nanodollars(amount: Decimal) -> int:
    """Convert US dollars to nanodollars, rounded down, as a cap must be."""
    return int(amount * NANO)
