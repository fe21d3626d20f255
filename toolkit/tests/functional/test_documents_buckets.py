"""Documents in object stores: a real S3 server on loopback, and servers that refuse or do not answer."""

import asyncio
import json
import os
import socket
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from bucket_server import BUCKET, BucketServer, bucket_server
from document_cases import ODD_NAMES, all_changes, remember

from ai_base.documents.errors import LocationError, UnreadableError
from ai_base.documents.repository import DocumentRepository

type Cloud = tuple[str, BucketServer]

NAMES = [name for name in ODD_NAMES if "\n" not in name]
"""Object stores have no line feeds in names."""


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
    for name in NAMES:
        await part.write(name, name.encode())
    await whole.write("other.md", b"other")
    assert sorted([document.path async for document in whole.list()]) == sorted(
        ["other.md", *(f"docs/{n}" for n in NAMES)]
    )
    known = remember(await all_changes(part))
    assert {path: await part.read(path) for path in known} == {name: name.encode() for name in NAMES}
    assert await all_changes(part, known) == {}
    await part.write(NAMES[0], b"edited")
    assert {change.path: change.kind for change in (await all_changes(part, known)).values()} == {NAMES[0]: "changed"}
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


@pytest.fixture(params=["s3", "gs", "az"])
def cloud(request: pytest.FixtureRequest, credentials: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A bucket of each kind, on a small server of our own."""
    del credentials
    with bucket_server() as server:
        account = {"gcs_base_url": server.url, "disable_oauth": True, "client_email": "", "private_key": ""}
        variables = {
            "s3": {"AWS_ENDPOINT_URL": server.url},
            "gs": {
                "GOOGLE_BASE_URL": server.url,
                "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps({**account, "private_key_id": ""}),
            },
            "az": {
                "AZURE_STORAGE_ENDPOINT": server.url,
                "AZURE_STORAGE_ACCOUNT_NAME": "account",
                "AZURE_STORAGE_ACCOUNT_KEY": b64encode(b"key").decode(),
            },
        }
        for name, value in variables[request.param].items():
            monkeypatch.setenv(name, value)
        yield f"{request.param}://", server


async def test_the_same_code_works_on_each_cloud(cloud: Cloud) -> None:
    scheme, server = cloud
    repository = DocumentRepository(f"{scheme}{BUCKET}/docs")
    for name in NAMES:
        await repository.write(name, name.encode())
    server.objects |= {"other.md": b"of no concern", "docs/": b"", "docs/deep/": b""}  # a console makes such folders
    assert sorted(server.objects) == sorted(["other.md", "docs/", "docs/deep/", *(f"docs/{name}" for name in NAMES)])
    changes = await all_changes(repository)
    assert {path: change.content.decode() for path, change in changes.items()} == {name: name for name in NAMES}
    await repository.write(NAMES[0], b"edited")
    assert list(await all_changes(repository, remember(changes))) == [NAMES[0]]
    with pytest.raises(LocationError, match=f"{scheme}{BUCKET}/docs: .*not found"):
        await repository.read("missing.md")
    with pytest.raises(LocationError, match=f"{scheme}no-bucket: "):
        await all_changes(DocumentRepository(f"{scheme}no-bucket"))


async def test_a_bucket_that_refuses_reads_is_a_skip(cloud: Cloud) -> None:
    scheme, server = cloud
    server.objects["secret.md"], server.refuses = b"secret", True
    changes = await all_changes(DocumentRepository(f"{scheme}{BUCKET}"))
    assert changes["secret.md"].kind == "unread"
    assert changes["secret.md"].problem.startswith("access refused: ")


async def test_a_server_that_does_not_answer_is_given_up(credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    del credentials
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(LocationError, match="s3://bucket: "):
            await asyncio.wait_for(all_changes(DocumentRepository("s3://bucket", timeout=0.5)), 60)
