"""Where documents live: a folder, and memory."""

import os
from pathlib import Path

import pytest
from document_cases import ODD_NAMES, all_changes, remember

from ai_base.documents.errors import LocationError, UnreadableError
from ai_base.documents.repository import DocumentRepository, Known

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
    with pytest.raises(UnreadableError, match=r"more than 100 bytes"):
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


@pytest.mark.parametrize("url", ["file://", "file://documents", "file://host/documents"])
def test_a_file_url_is_absolute(url: str) -> None:
    with pytest.raises(LocationError, match=f"{url}: write three slashes"):
        DocumentRepository(url)


# ---- Memory ----


async def test_two_memory_urls_of_one_name_are_one() -> None:
    await DocumentRepository("memory://one").write("a/b.md", b"x")
    assert await DocumentRepository("memory://one").read("a/b.md") == b"x"
    with pytest.raises(LocationError, match="memory://two"):
        await DocumentRepository("memory://two").read("a/b.md")
    known = remember(await all_changes(DocumentRepository("memory://one")))
    assert await all_changes(DocumentRepository("memory://one"), known) == {}
