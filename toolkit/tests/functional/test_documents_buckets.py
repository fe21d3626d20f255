"""Documents in object stores: a real S3 server on loopback, and servers that refuse or do not answer."""

import asyncio
import os
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import Request, urlopen

import pytest
from document_cases import ODD_NAMES, all_changes, remember

from ai_base.documents.errors import LocationError, UnreadableError
from ai_base.documents.repository import DocumentRepository


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - takes seconds

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)


@pytest.fixture
def bucket(s3_server: str, credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    del credentials
    name = f"bucket-{tmp_path.stat().st_ino}"
    with urlopen(Request(f"{s3_server}/{name}", method="PUT"), timeout=60) as created:  # noqa: S310 - loopback
        assert created.status == 200
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    return name


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
async def test_the_same_code_works_on_s3(bucket: str) -> None:
    whole, part = DocumentRepository(f"s3://{bucket}"), DocumentRepository(f"s3://{bucket}/docs")
    names = [name for name in ODD_NAMES if "\n" not in name]  # object stores have no line feeds in names
    for name in names:
        await part.write(name, name.encode())
    await whole.write("other.md", b"other")
    assert sorted([document.path async for document in whole.list()]) == sorted(
        ["other.md", *(f"docs/{n}" for n in names)]
    )
    known = remember(await all_changes(part))
    assert {path: await part.read(path) for path in known} == {name: name.encode() for name in names}
    assert await all_changes(part, known) == {}
    await part.write(names[0], b"edited")
    assert {change.path: change.kind for change in (await all_changes(part, known)).values()} == {names[0]: "changed"}
    small = DocumentRepository(f"s3://{bucket}", max_bytes=3)
    with pytest.raises(UnreadableError, match="5 bytes, more than 3"):
        await small.read("other.md")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
async def test_a_missing_bucket_is_an_error_that_names_it(bucket: str) -> None:
    with pytest.raises(LocationError, match=rf"s3://no-{bucket}: "):
        await all_changes(DocumentRepository(f"s3://no-{bucket}"))


async def test_missing_credentials_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", nobody)
    monkeypatch.setenv("AWS_ENDPOINT_URL", nobody)
    with pytest.raises(LocationError, match="s3://bucket: "):
        await all_changes(DocumentRepository("s3://bucket", timeout=20))


LISTING = """<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>
<KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><Contents><Key>secret.md</Key>
<LastModified>2026-11-25T00:00:00.000Z</LastModified><ETag>"1"</ETag><Size>3</Size></Contents></ListBucketResult>"""


class ListsOnly(BaseHTTPRequestHandler):
    """An object store that lists its objects and refuses to give them out."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        listing = "list-type" in self.path
        body = LISTING.encode() if listing else b"<Error><Code>AccessDenied</Code></Error>"
        self.send_response(200 if listing else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


async def test_a_bucket_that_refuses_reads_is_a_skip(credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    del credentials
    with ThreadingHTTPServer(("127.0.0.1", 0), ListsOnly) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        changes = await all_changes(DocumentRepository("s3://bucket"))
        server.shutdown()
    assert changes["secret.md"].kind == "unread"
    assert changes["secret.md"].problem.startswith("access refused: ")


async def test_a_server_that_does_not_answer_is_given_up(credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    del credentials
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(LocationError, match="s3://bucket: "):
            await asyncio.wait_for(all_changes(DocumentRepository("s3://bucket", timeout=0.5)), 60)
