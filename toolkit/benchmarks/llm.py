"""What the gateway costs, and whether its limits hold: side by side with the bare SDK and litellm, in one run.

Prints the table that the README shows. `ONLY=cap` measures one thing. The providers are servers on this machine, each
in a process of its own.
"""

import ast
import json
import os
import pwd
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

SOURCE = Path(__file__).parents[1] / "src"
CACHE = Path(tempfile.gettempdir(), "ai-base-benchmark")
REPLY = {"text": "It belongs to billing.", "input_tokens": 100, "output_tokens": 950}
PRICE = {"input": "1", "output": "2"}  # US dollars per million tokens
COST = 2_000_000  # nanodollars of such a reply
HEAVY = ("openai", "anthropic", "psycopg", "matplotlib", "opentelemetry.sdk")


class Worker:
    """A process that runs `llm_worker.py`. Call it with a command; to have two at work, call them from threads."""

    def __init__(self, python: Path, folder: Path) -> None:
        variables = os.environ | {"BENCHMARK_KEY": "none", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        program = [python, Path(__file__).with_name("llm_worker.py")]
        self.process = subprocess.Popen(
            program, cwd=folder, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, command: str, **arguments: Any) -> Any:  # noqa: ANN401 - as the command is
        self.send(command, **arguments)
        assert self.process.stdout  # noqa: S101 - for the type checker
        reply = json.loads(self.process.stdout.readline() or '{"error": "it died"}')
        if "error" in reply:
            raise RuntimeError(f"{command}: {reply['error']}")
        return reply["result"]

    def send(self, command: str, **arguments: object) -> None:
        """Give a command without waiting for its end."""
        assert self.process.stdin  # noqa: S101
        print(json.dumps([command, arguments]), file=self.process.stdin, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def kill(self) -> None:
        """End it as a machine that fails would."""
        self.process.kill()
        self.process.communicate()


class Bench:
    """A folder to work in, and the table."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.missed: list[str] = []

    def worker(self, python: Path | None = None) -> Worker:
        """Start a process; it ends with its check."""
        return self.stack.enter_context(Worker(python or Path(sys.executable), self.folder))

    def provider(self, **reply: object) -> tuple[str, Worker]:
        """Start a provider in a process of its own; its URL, and the process."""
        server = self.worker()
        return server("serve", **{**REPLY, **reply}), server

    def ledger(self, name: str) -> str:
        """Name a ledger in a file on disk."""
        return f"sqlite:///{self.folder / name}.db"

    def row(self, *cells: object, kept: bool) -> None:
        """Print what was measured, ours, the other's, the ratio and the target; note whether that was kept."""
        line = " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells)
        print(f"| {line} |", flush=True)
        if not kept:
            self.missed.append(f"Missed: {cells[0]}: {cells[1]}, where the target is {cells[-1]}.")


def config(primary: str = "", **urls: str) -> dict[str, Any]:
    """Configure a candidate for each URL, in a chain; the first one is called main."""
    known = {"model": "openai-chat:gpt-4o-mini", "price": PRICE, "api_key_env": "BENCHMARK_KEY", "concurrency": 200}
    candidates = {name: {**known, "base_url": url} for name, url in {"primary": primary, **urls}.items() if url}
    # A breaker that pauses briefly, so that a run has many half-open periods.
    return {
        "chains": {"default": list(candidates)},
        "candidates": candidates,
        "budgets": {"unlimited": True},
        "breaker": {"failures": 5, "pause": 0.5},
        "retry": {"attempts": 3, "base_delay": 0.001},
    }


def toml(value: object) -> str:
    """Write a value as TOML, in one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


def gateway(worker: Worker, name: str, given: Mapping[str, object], database: str) -> None:
    """Open a gateway in a worker."""
    lines = [f"{key} = {toml(value)}" for key, value in given.items()]
    worker("gateway", name=name, config="\n".join(lines), database=database)


def litellm(bench: Bench) -> Worker:
    """Start a worker with litellm, which needs another major version of the OpenAI SDK than the project."""
    python = CACHE / "litellm" / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, CACHE / "litellm"], check=True)
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", python, "litellm"], check=True)
    return bench.worker(python)


def medians(parts: Mapping[str, Worker], rounds: int, calls: int) -> list[dict[str, float]]:
    """Let blocks of calls take turns; for each round, the median seconds of one call of each part."""
    for name, worker in parts.items():
        worker("calls", name=name, number=calls)
    return [
        {name: statistics.median(worker("calls", name=name, number=calls)["seconds"]) for name, worker in parts.items()}
        for _ in range(rounds)
    ]


def ms(seconds: float) -> str:
    """Write a duration."""
    return f"{seconds * 1000:.2f} ms"


def overhead(bench: Bench) -> None:
    """What one call takes beyond one of the bare SDK; litellm's beyond that of the SDK that it has."""
    url, _ = bench.provider()
    ours, theirs = bench.worker(), litellm(bench)
    ours("bare", name="bare", url=url)
    gateway(ours, "ask", config(main=url), bench.ledger("overhead"))
    theirs("bare", name="their bare", url=url)
    theirs("litellm", name="litellm", url=url, router=False)
    parts = {"bare": ours, "ask": ours, "their bare": theirs, "litellm": theirs}
    rounds = medians(parts, 20, 50)
    added = statistics.median(each["ask"] - each["bare"] for each in rounds)
    other = statistics.median(each["litellm"] - each["their bare"] for each in rounds)
    what = "a call, beyond the bare OpenAI SDK / litellm"
    bench.row(what, ms(added), ms(other), added / other, "< 1", kept=added < other)


def throughput(bench: Bench) -> None:
    """Calls per second, 100 at a time."""
    url, _ = bench.provider()
    ours, theirs = bench.worker(), litellm(bench)
    gateway(ours, "ask", config(main=url), bench.ledger("throughput"))
    theirs("litellm", name="router", url=url, router=True)
    speeds: dict[str, list[float]] = {"ask": [], "router": []}
    for _ in range(6):  # the first round warms up
        for name, worker in (("ask", ours), ("router", theirs)):
            speeds[name].append(1000 / worker("calls", name=name, number=1000, concurrency=100)["wall"])
    mine, other = (statistics.median(column[1:]) for column in speeds.values())
    what = "calls per second, 100 at a time / litellm.Router"
    bench.row(what, f"{mine:.0f}", f"{other:.0f}", mine / other, "> 1", kept=mine > other)


def cap(bench: Bench) -> None:
    """Eight processes spend against one cap, on SQLite."""
    hold_cap(bench, bench.ledger("cap"), "SQLite")


def cap_postgres(bench: Bench) -> None:
    """The same on PostgreSQL."""
    with postgres() as database:
        if database is None:
            print("| cap, PostgreSQL: skipped, its initdb is not installed | | | | |", flush=True)
        else:
            hold_cap(bench, database, "PostgreSQL")


def hold_cap(bench: Bench, database: str, kind: str) -> None:
    """8 processes, 250 calls each, 20 at a time, against a cap worth 500 calls; then one that comes back."""
    limit = 500 * COST
    url, server = bench.provider()
    given = {**config(main=url), "budgets": {"overall": {"month": str(limit / 1e9)}}}
    watcher, *callers = [bench.worker() for _ in range(9)]
    for caller in callers:
        gateway(caller, "ask", given, database)
    sums = "SELECT max(spent), max(spent + held) FROM counters"
    most = [0, 0]
    with ThreadPoolExecutor(len(callers)) as pool:
        runs = [pool.submit(caller, "calls", name="ask", number=250, concurrency=20) for caller in callers]
        while not all(each.done() for each in runs):
            found = watcher("sql", database=database, query=sums)[0]
            most = [max(pair) for pair in zip(most, [value or 0 for value in found], strict=True)]
            time.sleep(0.02)
        refused = sum(each.result()["refused"] for each in runs)
    refused += callers[0]("calls", name="ask", number=250)["refused"]
    [[spent, held]] = watcher("sql", database=database, query="SELECT max(spent), max(held) FROM counters")
    [[reserved]] = watcher("sql", database=database, query="SELECT max(reserved) FROM attempts")
    billed = server("count") * COST
    problems = watcher("check", database=database)
    what = f"most that 8 processes spent or held / the cap, {kind}"
    over = max(*most, spent, billed)
    kept = over <= limit and billed == spent and not held and not problems and refused == 2250 - spent // COST
    bench.row(what, f"${over / 1e9:.4f}", f"${limit / 1e9:.4f}", over / limit, "<= 1", kept=kept)
    what, left = f"left unspent by callers that come back / a reservation, {kind}", limit - spent
    bench.row(what, f"${left / 1e9:.4f}", f"${reserved / 1e9:.4f}", left / reserved, "< 1", kept=left < reserved)


@contextmanager
def postgres() -> Iterator[str | None]:
    """Start a PostgreSQL as Debian's packages install it; its URL, or None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not (program := shutil.which("initdb") or (found and str(found[-1]))):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        other: dict[str, Any] = {}
        if os.getuid() == 0:  # the server refuses to be root
            nobody = pwd.getpwnam("nobody")
            os.chown(name, nobody.pw_uid, nobody.pw_gid)
            other = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

        def execute(tool: str, *arguments: str) -> None:
            command = [str(Path(program).resolve().with_name(tool)), "-D", f"{name}/data", *arguments]
            subprocess.run(command, cwd=name, check=True, stdout=subprocess.DEVNULL, **other)

        execute("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C")
        execute("pg_ctl", "-s", "-w", "-o", f"-k {name} -c listen_addresses=", "-l", f"{name}/log", "start")
        try:
            yield f"postgresql://postgres@/postgres?host={quote(name, safe='')}"
        finally:
            execute("pg_ctl", "-s", "stop", "-m", "immediate")


def million(bench: Bench) -> None:
    """What a call takes beyond one of the bare SDK, with a million rows in the ledger and with none; `spend`."""
    url, _ = bench.provider()
    worker = bench.worker()
    full, empty = bench.ledger("full"), bench.ledger("empty")
    gateway(worker, "seed", config(main=url), full)
    worker("calls", name="seed", number=1000)
    worker("multiply", database=full)
    worker("bare", name="bare", url=url)
    gateway(worker, "full", config(main=url), full)
    gateway(worker, "empty", config(main=url), empty)
    rounds = medians({"empty": worker, "bare": worker, "full": worker}, 40, 25)
    with_rows, without = (statistics.median(each[name] - each["bare"] for each in rounds) for name in ("full", "empty"))
    ratio = with_rows / without
    what = "a call, beyond the bare SDK, with 1,000,000 rows / none"
    bench.row(what, ms(with_rows), ms(without), ratio, "<= 1.2", kept=ratio <= 1.2)  # noqa: PLR2004
    counted = "SELECT (SELECT count(*) FROM attempts), (SELECT count(*) FROM interactions)"
    rows = worker("sql", database=full, query=counted)[0]
    seconds = statistics.median(worker("spend", database=full) for _ in range(5))
    kept = seconds < 1 and min(rows) > 10**6 and not worker("check", database=full)
    bench.row("`spend` over them, by all four", f"{seconds:.3f} s", "", "", "< 1 s", kept=kept)


def outage(bench: Bench) -> None:
    """A primary that is down for 1,000 calls: what it adds to each, and how often it is asked."""
    backup, _ = bench.provider()
    failing, server = bench.provider(status=500)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refusing = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    for kind, primary in (("answers 500", failing), ("refuses connections", refusing)):
        worker, database = bench.worker(), bench.ledger(kind)
        given = config(primary, main=backup)
        gateway(worker, "dead", given, database)
        gateway(worker, "well", config(main=backup), bench.ledger(f"{kind}, without"))
        start = time.monotonic()
        worker("calls", name="dead", number=10)  # opens the breaker
        rounds = medians({"dead": worker, "well": worker}, 19, 50)
        periods = (time.monotonic() - start) // given["breaker"]["pause"]
        added = statistics.median(each["dead"] - each["well"] for each in rounds)
        bench.row(f"added to a call, primary {kind}", ms(added), "", "", "< 5 ms", kept=added < 0.005)  # noqa: PLR2004
        query = "SELECT count(*) FROM attempts WHERE candidate = 'primary'"
        [[asked]] = worker("sql", database=database, query=query)
        most = given["breaker"]["failures"] + periods
        kept = given["breaker"]["failures"] <= asked <= most
        if primary == failing:
            kept = kept and server("count") == asked
        what = f"attempts on it in 1,010 calls / failures to open + half-open periods, {kind}"
        bench.row(what, asked, f"{most:.0f}", asked / most, "<= 1", kept=kept)


def killed(bench: Bench) -> None:
    """Kill a process in the middle of 200 concurrent calls, 20 times, on one ledger."""
    url, server = bench.provider(delay=0.02)
    database, auditor = bench.ledger("killed"), bench.worker()
    wrong = lost = 0
    for number in range(20):
        victim = Worker(Path(sys.executable), bench.folder)
        gateway(victim, "ask", config(main=url), database)
        before = server("count")
        victim.send("calls", name="ask", number=10**6, concurrency=200)
        while server("count") < before + 50:
            time.sleep(0.001)
        time.sleep(number * 0.02)  # another moment each time
        victim.kill()
        auditor("reopen", database=database)
        time.sleep(0.1)  # what was sent before is still being read
        tables = ("attempts", "attempts WHERE status = 'lost'", "reservations")
        query = "SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
        [[attempts, lost, open_]] = auditor("sql", database=database, query=query)
        joined = "attempts LEFT JOIN interactions ON interactions.id = interaction_id"
        query = f"SELECT count(*) FROM {joined} WHERE source IS NULL"
        [[orphans]] = auditor("sql", database=database, query=query)
        differs = auditor("check", database=database)
        wrong += bool(open_ or orphans or differs or server("count") > attempts)
    what = f"20 x kill -9 in 200 concurrent calls: ledgers with a gap / requests, {lost} cut off"
    bench.row(what, wrong, server("count"), "", "0", kept=not wrong and lost > 0)


def importing(bench: Bench) -> None:
    """Importing the gateway against importing what it takes from pydantic-ai."""
    names = borrowed()
    heavy = f"print(*({{*{HEAVY!r}}} & {{*sys.modules}}))"
    ours = f"import sys, ai_base.llm.gateway.gateway; {heavy}"
    seconds: dict[str, list[float]] = {ours: [], "; ".join(sorted(names)): []}
    loaded = ""
    for _ in range(21):
        for program, column in seconds.items():
            start = time.perf_counter()
            output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
            column.append(time.perf_counter() - start)
            loaded += output.strip()
    mine, other = (statistics.median(column[1:]) for column in seconds.values())
    what = "import of the gateway / of the pydantic-ai classes that it uses"
    kept = mine / other <= 1.3 and not loaded  # noqa: PLR2004
    bench.row(what, f"{mine:.2f} s", f"{other:.2f} s", mine / other, "<= 1.3", kept=kept)
    bench.row("imported with it: " + ", ".join(HEAVY), loaded or "none", "", "", "none", kept=not loaded)


def borrowed() -> set[str]:
    """Collect the imports from pydantic-ai in the heads of the gateway's modules and of all that they import."""
    seen, left, found = set[Path](), ["ai_base.llm.gateway.gateway"], set[str]()
    while left:
        path = SOURCE / (left.pop().replace(".", "/") + ".py")
        if path in seen or not path.exists():
            continue
        seen.add(path)
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ai_base"):
                left += [node.module or "", *(f"{node.module}.{name.name}" for name in node.names)]
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pydantic_ai"):
                found.add(ast.unparse(node))
    return found


def main() -> None:
    """Measure everything, or what ONLY names; exit with 1 when a target is missed."""
    checks = {
        each.__name__: each for each in (importing, overhead, throughput, outage, cap, cap_postgres, million, killed)
    }
    only = os.environ.get("ONLY") or ""
    if only and only not in checks:
        sys.exit(f"ONLY is one of: {', '.join(checks)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("| what | ours | other | ratio | target |\n|---|---|---|---|---|", flush=True)
        missed = []
        for check in [checks[only]] if only else checks.values():
            with ExitStack() as stack:
                bench = Bench(Path(tempfile.mkdtemp(dir=folder)), stack)
                check(bench)
            missed += bench.missed
    sys.exit("\n".join(missed) or 0)


if __name__ == "__main__":
    main()
