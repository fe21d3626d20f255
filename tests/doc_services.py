"""What stands in for the services that a page of the documentation talks to, all of it on this machine.

A page names them in its front matter: `services: [s3]`. Each changes the reader's variables, or what is typed or
written in place of what the page says, such as an address.
"""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from doc_blocks import Session

PROVIDER = """
import sys
from ai_base.testing.loopback import LoopbackProvider, Reply
text = '{"category": "bug", "urgency": 4, "summary": "The app crashes.", "confidence": 0.9}'
with LoopbackProvider(Reply(text=text)) as provider:
    print(provider.url, flush=True)
    sys.stdin.read()
"""
TEXT = {"Content-Type": "text/markdown"}
MODEL = 'model = "openai:gpt-5.4-mini"'


@contextmanager
def services(page: Path, session: Session) -> Iterator[None]:
    """Start what a page names."""
    named = re.search(r"\A---\nservices: \[(.*)\]\n---\n", page.read_text("utf-8"))
    with ExitStack() as stack:
        for name in named[1].split(", ") if named else []:
            stack.enter_context({"provider": provider, "s3": s3, "postgresql": postgresql}[name](session))
        yield


@contextmanager
def provider(session: Session) -> Iterator[None]:
    """Answer in place of a provider, over HTTP."""
    command = [str(session.folder / ".venv/bin/python"), "-c", PROVIDER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        url = process.stdout.readline().strip()
        session.replaced[MODEL] = f'model = "openai-chat:gpt-5.4-mini"\nbase_url = "{url}"'
        yield
        process.stdin.close()


@contextmanager
def s3(session: Session) -> Iterator[None]:
    """Hold one document in a bucket."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - takes seconds

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        for path, body in (("handbook", b""), ("handbook/policies/leave.md", b"Everyone has 30 days off a year.\n")):
            request = Request(f"http://{host}:{port}/{path}", data=body, headers=TEXT, method="PUT")
            with urlopen(request, timeout=60):  # noqa: S310 - on loopback
                pass
        variables = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}
        session.env |= {f"AWS_{name}": value for name, value in variables.items()}
        session.env["AWS_ENDPOINT_URL"] = f"http://{host}:{port}"
        yield
    finally:
        server.stop()


@contextmanager
def postgresql(session: Session) -> Iterator[None]:
    """Run the PostgreSQL that is installed on this machine, with an empty database."""
    programs = (
        [Path(found)] if (found := shutil.which("initdb")) else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    )
    if not programs:
        pytest.skip("PostgreSQL's initdb is not installed")
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        user = pwd.getpwnam("nobody").pw_uid if os.getuid() == 0 else os.getuid()  # the server refuses to be root
        os.chown(folder, user, -1)

        def do(program: str, *arguments: str) -> None:
            command = [str(programs[-1].with_name(program)), "-D", f"{folder}/data", *arguments]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, user=user)

        do("initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C")
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        do("pg_ctl", "-s", "-w", "-o", options, "-l", f"{folder}/log", "start")
        try:
            url = f"postgresql://postgres@/postgres?host={quote(folder, safe='')}"
            session.replaced["postgresql://user:password@host/name"] = url
            yield
        finally:
            do("pg_ctl", "-s", "-m", "immediate", "stop")
