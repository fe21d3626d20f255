"""The ledger: interactions, attempts, cost and remaining budget, in SQLite or PostgreSQL."""
