"""The databases of an index: two writers at once, files and their rights, lost connections, passwords."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from document_cases import MODEL, found, put
from pydantic import SecretStr

from ai_base.documents.documents import open_index
from ai_base.documents.errors import IndexStorageError
from ai_base.documents.hashing import hash_embed
from ai_base.documents.index import Index
from ai_base.documents.postgres_index import PostgresIndex
from ai_base.documents.settings import DocumentsSettings
from ai_base.documents.sqlite_index import SQLiteIndex

# ---- Two processes ----

WRITER = """
import sys
from document_cases import open_index_at
from ai_base.documents.chunks import split
from ai_base.documents.hashing import hash_embed
from ai_base.documents.repository import Known

index, name = open_index_at(sys.argv[1], "offline:hashing"), sys.argv[2]
for round_number in range(5):
    for number in range(20):
        text = f"Document {number} of {name}, round {round_number}."
        index.replace(f"{number}.md", Known(name, name), split(f"{number}.md", text, 100), hash_embed([text]))
index.close()
"""


def test_two_writers_do_not_spoil_each_other(index_place: str, open_index: Callable[..., Index]) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, index_place, name], env=environment) for name in ("one", "two")
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    index = open_index()
    assert (index.status().documents, index.status().chunks) == (20, 20)
    assert [len(found(index, f"document {number}", 1)) for number in range(20)] == [1] * 20
    if "://" not in index_place:
        with closing(sqlite3.connect(index_place)) as connection:
            assert connection.execute("SELECT count(*) FROM vectors").fetchone() == (20,)
            connection.execute("INSERT INTO words (words) VALUES ('integrity-check')")


def test_a_writer_waits_for_another_one(open_index: Callable[..., Index], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = open_index(), open_index()
    put(first, "a.md", "Earlier.")
    inside, delete = Event(), second._delete  # noqa: SLF001 - what a write begins with

    def noted(*given: Any) -> None:
        delete(*given)
        inside.set()

    monkeypatch.setattr(second, "_delete", noted)
    thread = Thread(target=put, args=(second, "a.md", "Second."))
    with first.transaction():
        put(first, "a.md", "First.")
        thread.start()
        assert not inside.wait(1)
    thread.join()
    assert found(first, "earlier first second") == ["Second."]


# ---- SQLite ----


def test_the_file_is_its_owners_only(tmp_path: Path) -> None:
    with closing(SQLiteIndex(tmp_path / "deep" / "index.db", MODEL, "1")) as index:
        put(index, "a.md", "Text.")
        assert [stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "deep").iterdir()] == [0o600] * 3


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "index.db").write_text("no database" * 1000)
    with pytest.raises(IndexStorageError, match=r"index.db: file is not a database"):
        SQLiteIndex(tmp_path / "index.db", MODEL, "1")


# ---- PostgreSQL ----


def test_a_lost_connection_is_replaced(pgvector_url: str) -> None:
    with closing(PostgresIndex(pgvector_url, MODEL, "1")) as index:
        put(index, "a.md", "Text.")
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid != pg_backend_pid()"
        with psycopg.connect(pgvector_url, autocommit=True) as connection:
            connection.execute(f"{others} AND backend_type = 'client backend'".encode())
        assert found(index, "text") == ["Text."]


def test_nearest_chunks_are_looked_up_and_not_compared_one_by_one(pgvector_url: str) -> None:
    with closing(PostgresIndex(f"{pgvector_url}%20-cenable_seqscan%3Doff", MODEL, "1")) as index:
        put(index, "a.md", "Text.")
        assert len(index.search("", hash_embed(["text"])[0], 5)) == 1
    with psycopg.connect(pgvector_url) as connection:
        scans = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = %s AND schemaname = current_schema()"
        assert connection.execute(scans, ("chunks_vector_idx",)).fetchall() == [(1,)]


def test_a_server_without_pgvector_is_told(postgres_url: str) -> None:
    with pytest.raises(IndexStorageError, match=r'PostgreSQL: extension "vector" is not available'):
        PostgresIndex(postgres_url, MODEL, "1")


@pytest.mark.parametrize("url", ["postgresql://me:top%secret@127.0.0.1:1/x", "postgresql://me:secret@127.0.0.1:1/x"])
def test_no_message_shows_the_password(url: str) -> None:
    with pytest.raises(IndexStorageError, match="PostgreSQL: ") as raised:
        PostgresIndex(url, MODEL, "1")
    assert "secret" not in str(raised.value)


def test_a_url_opens_postgresql(pgvector_url: str) -> None:
    settings = DocumentsSettings(documents_index=SecretStr(pgvector_url))
    with closing(open_index(settings, MODEL)) as index:
        assert isinstance(index, PostgresIndex)


def test_a_missing_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_base.documents.postgres_index", None)
    settings = DocumentsSettings(documents_index=SecretStr("postgresql://me:secret@host/name"))
    assert "secret" not in repr(settings)
    with pytest.raises(IndexStorageError, match="needs its driver"):
        open_index(settings, MODEL)
