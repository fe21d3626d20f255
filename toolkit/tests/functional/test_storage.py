"""The ledger's databases when things go wrong: other processes, kills, locks, lost servers, full disks."""

import asyncio
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ai_base.llm.cancellation import finish_background_work, shielded
from ai_base.llm.errors import LedgerError
from ai_base.llm.ledger import database
from ai_base.llm.ledger.audit import differences
from ai_base.llm.ledger.connect import connect
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import Attempt, Interaction, new_id, now

pytestmark = pytest.mark.slow

AT = now()
DAY = f"overall, day {AT[:10]}"
FOREVER = 3600.0
WORKER = """
import asyncio, sys
from ai_base.llm.errors import BudgetExceededError
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import Attempt, Interaction, new_id, now

url, cap, calls, at = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
caps = {f"overall, day {at[:10]}": cap}

def new():
    asked = Interaction(new_id(), now())
    return Attempt(new_id(), asked.id, 1, "fast", at, reserved=20), asked

async def caller(ledger):
    for _ in range(calls):
        tried, asked = new()
        while True:
            try:
                await ledger.reserve(tried, asked, caps, 60)
                break
            except BudgetExceededError as error:
                if not error.held:
                    return
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.001)
        tried.cost = 10
        assert await ledger.settle(tried)
        await ledger.record(asked)

async def main():
    ledger = await Ledger.open(url)
    if calls > 1000:  # it is going to be killed, and shall hold something whenever that is
        await ledger.reserve(*new(), caps, 60)
    print("open", flush=True)
    await asyncio.gather(*[caller(ledger) for _ in range(20)])
    await ledger.close()

asyncio.run(main())
"""


class Clock:
    """Stands in for the module `time`: its hands are moved by the test."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def start(url: str, cap: int, calls: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, url, str(cap), str(calls), AT]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_when_busy(url: str) -> None:
    process = start(url, cap=10**9, calls=10**6)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    time.sleep(0.2)
    process.kill()
    process.communicate()


async def total(ledger: Ledger, what: str) -> int:
    async with ledger.database.transaction(read_only=True) as execute:
        [[number, *_]] = await execute(f"SELECT {what}")
    return int(number)


async def hold(ledger: Ledger) -> Attempt:
    asked = Interaction(new_id(), now())
    tried = Attempt(new_id(), asked.id, 1, "fast", AT, reserved=20)
    await ledger.reserve(tried, asked, {}, 60)
    return tried


async def test_processes_share_one_cap_and_can_use_all_of_it(database_url: str) -> None:
    processes = [start(database_url, cap=1005, calls=50) for _ in range(4)]  # all of them open a database that is new

    assert [process.wait(300) for process in processes] == [0] * 4

    for process in processes:
        process.communicate()
    ledger = await Ledger.open(database_url)
    spent = await total(ledger, f"spent FROM counters WHERE scope = '{DAY}'")
    assert 1005 - 20 < spent <= 1005
    assert await total(ledger, "count(*) FROM interactions WHERE status = 'open'") == spent // 10
    assert await differences(ledger) == []
    await ledger.close()


async def test_a_kill_loses_no_reservation(database_url: str) -> None:
    for _ in range(3):
        kill_when_busy(database_url)
        ledger = await Ledger.open(database_url)
        assert await total(ledger, f"held FROM counters WHERE scope = '{DAY}'") == 0
        assert await total(ledger, "count(*) FROM reservations") == 0
        assert await differences(ledger) == []
        await ledger.close()

    ledger = await Ledger.open(database_url)
    assert await total(ledger, "count(*) FROM attempts WHERE status = 'lost' AND cost = 20") > 0
    assert await total(ledger, "count(*) FROM interactions WHERE status = 'lost'") > 0
    await ledger.close()


async def test_what_a_dead_process_held_is_charged_once_however_many_recover(database_url: str) -> None:
    kill_when_busy(database_url)
    ledgers = [Ledger(connect(database_url)) for _ in range(4)]

    charged = await asyncio.gather(*[ledger.recover() for ledger in ledgers])

    assert sum(charged) == await total(ledgers[0], "count(*) FROM attempts WHERE status = 'lost'") > 0
    assert await differences(ledgers[0]) == []
    for ledger in ledgers:
        await ledger.close()


async def test_what_another_host_holds_is_charged_when_it_expires(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await Ledger.open(database_url)
    monkeypatch.setattr("ai_base.llm.ledger.reservations.owner", lambda: "elsewhere:1:0")
    await hold(ledger)
    assert await ledger.recover() == 0

    later = time.time() + 61
    monkeypatch.setattr("time.time", lambda: later)

    assert await ledger.recover() == 1
    await ledger.close()


def test_a_forked_child_is_told_to_open_its_own(tmp_path: Path) -> None:
    code = """
import asyncio, os
from ai_base.llm.errors import LedgerError
from ai_base.llm.ledger.ledger import Ledger

ledger = asyncio.run(Ledger.open("sqlite:///ledger.db"))
if os.fork() == 0:
    try:
        asyncio.run(ledger.spend("day"))
    except LedgerError as error:
        assert "opened before a fork" in str(error)
        os._exit(0)
    os._exit(1)
assert os.wait()[1] == 0
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=300)


# ---- Locks and cancellation ----


async def test_a_transaction_waits_for_the_lock_before_it_begins_and_does_not_block_the_event_loop(
    tmp_path: Path,
) -> None:
    """A transaction that took the lock with its first change would fail at once: in its middle, it cannot wait."""
    ledger = await Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    tried = await hold(ledger)
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    task = asyncio.create_task(ledger.settle(tried))
    for _ in range(30):
        await asyncio.sleep(0.01)  # a blocked event loop would end with the error of a lock that stays
    assert not task.done()
    other.execute("COMMIT")
    assert await task
    other.close()
    await ledger.close()


async def test_a_lock_that_stays_is_an_error_for_all_who_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait side by side: when the time of one is up, so is that of all."""
    ledger = await Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    tried = [await hold(ledger) for _ in range(5)]
    monkeypatch.setattr(database, "WAIT", FOREVER)
    clock = Clock()
    monkeypatch.setattr("ai_base.llm.ledger.sqlite.time", clock)
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    tasks = [asyncio.create_task(ledger.settle(one)) for one in tried]
    await asyncio.sleep(0)  # each begins to wait

    clock.now += FOREVER + 1
    async with asyncio.timeout(60):
        results = await asyncio.gather(*tasks, return_exceptions=True)

    assert ["database is locked by other processes" in str(result) for result in results] == [True] * 5
    other.close()
    assert all([await ledger.settle(one) for one in tried])
    await ledger.close()


async def test_of_the_tasks_that_wait_for_a_lock_one_asks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of eight processes, all asking again every few milliseconds, took the time in which others would finish."""
    ledger = await Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    tried = [await hold(ledger) for _ in range(5)]
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    sleep, asking = asyncio.sleep, []

    async def counting(seconds: float) -> None:
        asking.append(asyncio.current_task())
        if len(asking) == 20:
            other.execute("COMMIT")
        await sleep(seconds)

    monkeypatch.setattr("ai_base.llm.ledger.sqlite.asyncio.sleep", counting)

    assert all(await asyncio.gather(*[ledger.settle(one) for one in tried]))
    assert len(asking) == 20
    assert len({*asking}) == 1
    other.close()
    await ledger.close()


async def test_a_shielded_settlement_is_made_although_its_task_is_cancelled(tmp_path: Path) -> None:
    ledger = await Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    tried = await hold(ledger)
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    task = asyncio.create_task(shielded(ledger.settle(tried)))
    for _ in range(3):
        await asyncio.sleep(0.02)
        task.cancel()
    other.execute("COMMIT")

    with pytest.raises(asyncio.CancelledError):
        await task
    await finish_background_work(60)

    assert await total(ledger, "count(*) FROM attempts") == 1
    other.close()
    await ledger.close()


async def test_a_cancelled_settlement_is_written_completely_or_not_at_all(database_url: str) -> None:
    ledger, moment = await Ledger.open(database_url), 0
    async with asyncio.timeout(60):
        while moment < 12 or not await total(ledger, "count(*) FROM attempts"):  # on a slow machine, until one succeeds
            tasks = [asyncio.create_task(ledger.settle(await hold(ledger))) for _ in range(3)]
            await asyncio.sleep(moment / 2000)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            moment += 1

    assert await differences(ledger) == []
    await ledger.close()


# ---- PostgreSQL comes and goes ----


async def test_a_server_that_stops_is_an_error_at_once_and_found_again_later(
    postgres: tuple[str, Callable[..., None]], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pg_ctl = postgres[1]
    ledger = await Ledger.open(postgres_url)
    first, second = await hold(ledger), await hold(ledger)
    pg_ctl("restart", "-m", "fast")

    await hold(ledger)  # the idle connection was dropped: a new one is made
    assert await ledger.settle(first)

    pg_ctl("stop", "-m", "immediate")
    monkeypatch.setattr(database, "WAIT", FOREVER)  # at once, and not when the ledger's patience ends
    try:
        async with asyncio.timeout(60):
            with pytest.raises(LedgerError, match=r"^PostgreSQL: .*connection"):
                await ledger.settle(second)
    finally:
        monkeypatch.undo()
        pg_ctl("start")
    assert await ledger.settle(second)
    assert await differences(ledger) == []
    await ledger.close()


async def test_a_connection_that_is_lost_loses_no_settlement(
    postgres: tuple[str, Callable[..., None]], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg  # noqa: PLC0415 - may be missing

    ledger = await Ledger.open(postgres_url)
    tried = await hold(ledger)
    run = ledger.database._run  # type: ignore[attr-defined]  # noqa: SLF001
    cut: list[object] = []

    async def cutting(connection: psycopg.AsyncConnection, sql: str, *given: object) -> object:
        if sql.startswith("INSERT INTO counters") and not cut:
            with psycopg.connect(postgres[0], autocommit=True) as other:
                cut.append(other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,)))
        return await run(connection, sql, *given)

    monkeypatch.setattr(ledger.database, "_run", cutting)

    assert await ledger.settle(tried)
    assert len(cut) == 1
    assert await differences(ledger) == []
    await ledger.close()


async def test_a_server_that_hangs_is_given_up(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = await Ledger.open(postgres_url)
    tried = await hold(ledger)
    together = asyncio.Barrier(4)  # all connections that a process has

    async def connect() -> int:
        async with ledger.database.transaction() as execute, asyncio.timeout(60):
            [(found,)] = await execute("SELECT pg_backend_pid()")
            await together.wait()
            return int(found)

    backends = set(await asyncio.gather(*[connect() for _ in range(4)]))
    assert len(backends) == 4
    monkeypatch.setattr(database, "WAIT", 0.15)
    clock = Clock()
    monkeypatch.setattr("ai_base.llm.ledger.postgres.time", clock)
    for backend in backends:
        os.kill(backend, signal.SIGSTOP)
    try:
        outcomes = await asyncio.gather(*[ledger.settle(tried) for _ in range(30)], return_exceptions=True)
        assert {str(outcome) for outcome in outcomes} == {"PostgreSQL: the server did not answer a moment ago"}
    finally:
        for backend in backends:
            os.kill(backend, signal.SIGCONT)
    monkeypatch.setattr(database, "WAIT", 60)
    clock.now += 1  # "a moment ago" is over
    assert await ledger.settle(tried)
    await ledger.close()


# ---- What cannot be used ----


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://root:hush@host/db", "has to be sqlite:///file.db or postgresql://"),
        ("hush", "has to be sqlite:///file.db or postgresql://"),
        ("sqlite://ledger.db", "has to be"),
        ("sqlite:///:memory:", "has to be"),
        ("sqlite:////proc/no/ledger.db", "/proc/no"),
        ("sqlite:////dev/null/ledger.db", "/dev/null"),
        ("sqlite:////etc", "/etc: unable to open database file"),
        ("postgresql://me:hush@127.0.0.1:1/db", "port 1 failed: Connection refused"),
        ("postgresql://me:hu@hush@127.0.0.1/db", "special characters of a password"),
        ("postgresql://me:hush@127.0.0.1:hush/db?hush", "not a valid URL"),
    ],
)
async def test_an_unusable_database_is_reported_in_one_line_without_the_password(url: str, message: str) -> None:
    with pytest.raises(LedgerError) as error:
        await Ledger.open(url)

    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert "hush" not in str(error.value)


async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to look at" * 100, encoding="utf-8")

    with pytest.raises(LedgerError, match=r"notes\.txt: file is not a database"):
        await Ledger.open(f"sqlite:///{tmp_path}/notes.txt")


async def test_the_folder_of_a_new_database_is_made_and_the_path_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = await Ledger.open("sqlite:///var/ledger.db")
    monkeypatch.chdir("/")
    await hold(ledger)

    assert (tmp_path / "var" / "ledger.db").exists()
    assert await differences(ledger) == []
    await ledger.close()


async def test_the_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ledger = await Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
        await hold(ledger)
        modes = {name: stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in os.listdir(tmp_path)}  # noqa: PTH116, PTH208
        await ledger.close()
    finally:
        os.umask(before)

    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}


@pytest.mark.parametrize("how", ["deleted", "replaced"])
async def test_a_file_that_is_deleted_or_replaced_while_in_use_is_noticed(tmp_path: Path, how: str) -> None:
    """Otherwise this process would go on with the old file, and the next one would have the whole cap once more."""
    path = tmp_path / "ledger.db"
    ledger = await Ledger.open(f"sqlite:///{path}")
    tried = await hold(ledger)
    if how == "deleted":
        path.unlink()
    else:
        await (await Ledger.open(f"sqlite:///{tmp_path}/other.db")).close()
        (tmp_path / "other.db").replace(path)

    for use in (hold(ledger), ledger.settle(tried), ledger.spend("day")):
        with pytest.raises(LedgerError, match="was deleted or replaced while in use; restart the process"):
            await use
    await ledger.close()


async def test_a_full_disk_is_an_error_and_loses_nothing(tmp_path: Path) -> None:
    ledger = await Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    before = await hold(ledger)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "ledger.db-wal").stat().st_size, limits[1]))
    try:
        with pytest.raises(LedgerError, match=r"ledger\.db: "):
            await hold(ledger)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert await ledger.settle(before)
    assert await differences(ledger) == []
    await ledger.close()
