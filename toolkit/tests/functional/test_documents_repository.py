"""Where documents live: a folder, memory, and a real S3 server on loopback."""

import asyncio
import os
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import Request, urlopen

import pytest

from ai_base.documents.errors import LocationError, UnreadableError
from ai_base.documents.repository import Change, DocumentRepository, Known

ODD_NAMES = ["quote'\".md", "line\nfeed.md", "emoji 🙂 é.md", "a%20b#?*.md", "deep/er/x.md"]


async def all_changes(
    repository: DocumentRepository, known: dict[str, Known] | None = None, glob: str = "*"
) -> dict[str, Change]:
    return {change.path: change async for change in repository.changes(known or {}, glob)}


def remember(changes: dict[str, Change]) -> dict[str, Known]:
    return {path: Known(change.etag, change.digest) for path, change in changes.items()}


# ---- A folder ----


async def test_names_of_any_kind_are_listed_and_read(tmp_path: Path) -> None:
    repository = DocumentRepository(tmp_path.as_uri())
    for name in ODD_NAMES:
        await repository.write(name, name.encode())
    changes = await all_changes(repository)
    assert {path: change.content.decode() for path, change in changes.items()} == {name: name for name in ODD_NAMES}
    assert [await repository.read(name) for name in ODD_NAMES] == [name.encode() for name in ODD_NAMES]


async def test_changes_tell_new_changed_touched_and_gone(tmp_path: Path) -> None:
    repository = DocumentRepository(str(tmp_path))
    for name in ("same.md", "edited.md", "touched.md", "gone.md"):
        (tmp_path / name).write_text("before")
    known = remember(await all_changes(repository))
    (tmp_path / "edited.md").write_text("after the edit")
    os.utime(tmp_path / "touched.md", (1, 1))
    (tmp_path / "gone.md").unlink()
    (tmp_path / "new.md").write_text("new")
    changes = await all_changes(repository, known)
    assert {path: change.kind for path, change in changes.items()} == {
        "edited.md": "changed",
        "touched.md": "touched",
        "gone.md": "gone",
        "new.md": "new",
    }
    assert changes["touched.md"].digest == known["touched.md"].digest


async def test_what_has_not_changed_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.md").write_text("x")
    repository = DocumentRepository(tmp_path.as_uri())
    known = remember(await all_changes(repository))
    monkeypatch.setattr(repository, "read", None)
    assert await all_changes(repository, known) == {}


async def test_a_glob_selects(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.md", "sub/b.md", "c.txt"):
        (tmp_path / name).write_text("x")
    repository = DocumentRepository(tmp_path.as_uri())
    assert sorted([document.path async for document in repository.list("*.md")]) == ["a.md", "sub/b.md"]
    assert list(await all_changes(repository, glob="sub/*")) == ["sub/b.md"]


async def test_links_out_of_the_root_are_refused(tmp_path: Path) -> None:
    root, secret = tmp_path / "root", tmp_path / "secret.md"
    root.mkdir()
    secret.write_text("secret")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x.md").write_text("secret")
    (root / "inside.md").write_text("text")
    (root / "alias.md").symlink_to(root / "inside.md")
    (root / "out.md").symlink_to(secret)
    (root / "out").symlink_to(tmp_path / "folder")
    repository = DocumentRepository(root.as_uri())
    changes = await all_changes(repository)
    assert {path: change.problem for path, change in changes.items()} == {
        "inside.md": "",
        "alias.md": "",
        "out.md": "a link out of the root",
        "out": "a link out of the root",
    }
    for path in ("../secret.md", "out/x.md", str(secret)):
        with pytest.raises(UnreadableError, match="a link out of the root"):
            await repository.read(path)
    with pytest.raises(UnreadableError, match="a link out of the root"):
        await repository.write("../secret.md", b"overwritten")
    assert secret.read_text() == "secret"


async def test_loops_pipes_and_names_that_are_no_text_are_skips(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "self.md").symlink_to(tmp_path / "self.md")
    os.mkfifo(tmp_path / "pipe.md")
    with open(os.fsencode(tmp_path) + b"/\xff.md", "w") as file:  # noqa: ASYNC230, PTH123 - Path takes no bytes
        file.write("x")
    changes = await all_changes(DocumentRepository(tmp_path.as_uri()))
    assert {path: change.kind for path, change in changes.items()} == {
        "a.md": "new",
        "loop": "unread",
        "self.md": "unread",
        "\\udcff.md": "unread",
    }


async def test_a_file_may_be_too_large(tmp_path: Path) -> None:
    (tmp_path / "large.md").write_bytes(b"x" * 101)
    repository = DocumentRepository(tmp_path.as_uri(), max_bytes=100)
    assert (await all_changes(repository))["large.md"].problem == "101 bytes, more than 100"
    with pytest.raises(UnreadableError, match=r"larger than 100 bytes"):
        await repository.read("large.md")


async def test_an_empty_or_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(LocationError, match="no document matches"):
        await all_changes(DocumentRepository(tmp_path.as_uri()), {"a.md": Known("1", "2")})
    with pytest.raises(LocationError, match=r"file://.*missing: .*No such file"):
        await all_changes(DocumentRepository((tmp_path / "missing").as_uri()))


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(LocationError, match="ftp://host: the scheme must be one of file, memory, s3, gs, az"):
        DocumentRepository("ftp://host")
    with pytest.raises(LocationError, match=r"az://container: .*[Aa]ccount"):
        DocumentRepository("az://container")


# ---- Memory ----


async def test_two_memory_urls_of_one_name_are_one() -> None:
    await DocumentRepository("memory://one").write("a/b.md", b"x")
    assert await DocumentRepository("memory://one").read("a/b.md") == b"x"
    with pytest.raises(LocationError, match="memory://two"):
        await DocumentRepository("memory://two").read("a/b.md")
    known = remember(await all_changes(DocumentRepository("memory://one")))
    assert await all_changes(DocumentRepository("memory://one"), known) == {}


# ---- S3 ----


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
