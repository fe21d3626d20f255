"""Opens the database that a URL names."""

from pathlib import Path

from ai_base.llm.errors import LedgerError
from ai_base.llm.ledger.database import Database
from ai_base.llm.ledger.sqlite import SQLite


def connect(url: str) -> Database:
    """Open `sqlite:///relative.db`, `sqlite:////absolute/path.db` or `postgresql://user:password@host/name`.

    The first transaction connects to PostgreSQL. No message shows the password.

    Raises:
        LedgerError: The URL is none of these, the driver is missing, or the file cannot be used.
    """
    scheme, _, path = url.partition("://")
    if scheme in ("postgresql", "postgres"):
        try:
            from ai_base.llm.ledger.postgres import Postgres  # noqa: PLC0415 - needs an extra
        except ImportError:
            raise LedgerError('PostgreSQL needs its driver: uv add "ai-base[postgres]"') from None
        return Postgres(url)
    if scheme == "sqlite" and path.startswith("/") and path not in ("/", "/:memory:"):
        return SQLite(Path(path[1:]).absolute())
    raise LedgerError("the ledger's URL has to be sqlite:///file.db or postgresql://user:password@host/name")
