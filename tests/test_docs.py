"""The documentation builds, its links and menus are whole, and what it tells the reader to type works."""

import re
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from conftest import lend
from doc_blocks import Session, blocks_of
from doc_python import Python
from doc_services import services
from harness import CHOICES, ROOT, commit, environment, render, run

DOCS = ROOT / "docs"
WRITTEN_ELSEWHERE = {"adr", "walk.md"}  # decisions show no commands; a test of its own types the walk
NOT_RUN = 8  # blocks that need another system, a token, a password or another Python
PAGES = {
    str(page.relative_to(DOCS)): page
    for page in sorted(DOCS.rglob("*.md"))
    if page.relative_to(DOCS).parts[0] not in WRITTEN_ELSEWHERE | {"reference", "tutorial.md"} and blocks_of(page)
}
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}


class Page(HTMLParser):
    """What a built page links to, loads and can be linked at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.add(values.get("id", ""))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if values.get(LOADED.get(tag, "")) and values.get("rel") != "canonical":
            self.loads.append(values[LOADED[tag]])


def in_menu(entries: list[Any]) -> set[str]:
    """Return the pages that a menu reaches."""
    pages: set[str] = set()
    for entry in entries:
        for target in entry.values():
            pages |= in_menu(target) if isinstance(target, list) else {target}
    return pages


def test_the_site_builds_and_is_whole() -> None:
    run("make", "docs", cwd=ROOT)

    site = ROOT / "site"
    pages = {path.relative_to(site).as_posix(): Page(path.read_text("utf-8")) for path in site.rglob("*.html")}
    written = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    assert in_menu(tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"]) == written
    assert {name.replace(".md", ".html") for name in written} | {"404.html"} == set(pages)
    assert {load for page in pages.values() for load in page.loads if urlsplit(load).netloc} == set()
    assert [
        css for css in site.rglob("*.css") if re.search(r"(url\(|@import )['\"]?(https?:)?//", css.read_text("utf-8"))
    ] == []
    assert [link for name, page in pages.items() for link in dead_links(site, name, page, pages)] == []


def dead_links(site: Path, name: str, page: Page, pages: dict[str, Page]) -> Iterator[str]:
    """Yield the links of a page, and what it loads, that lead nowhere in the site."""
    for link in [*page.links, *page.loads]:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or name == "404.html":
            continue
        target = ((site / name).parent / unquote(parts.path)).resolve() if parts.path else site / name
        found = pages.get(target.relative_to(site).as_posix()) if target.is_relative_to(site) else None
        if not target.exists() or (found and unquote(parts.fragment) not in found.ids):
            yield f"{name}: {link}"


def test_the_readme_links_to_files_that_exist() -> None:
    links = re.findall(r"(?:\]\(|srcset=\"|src=\")([^)\"#]+)", (ROOT / "README.md").read_text("utf-8"))

    local = [link for link in links if not urlsplit(link).scheme]
    assert local
    assert [link for link in local if not (ROOT / link).exists()] == []


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    blocks = [block for page in [*PAGES.values(), DOCS / "tutorial.md"] for block in blocks_of(page)]

    assert len([block for block in blocks if block.reason]) <= NOT_RUN
    assert len([block for block in blocks if not block.reason]) >= 70


def test_a_how_to_page_is_short() -> None:
    lines = {page.name: page.read_text("utf-8").count("\n") for page in DOCS.glob("how-to/*.md")}

    assert {name: count for name, count in lines.items() if not 15 <= count <= 65} == {}


# ---- What a reader types ----

QUIET = {"LOG_LEVEL": "ERROR"}  # on a terminal, commands log warnings only; here their output is no terminal
LEFT_BEHIND = ("ledger.db*", "documents.db*", "embeddings.db*", "dist")
UVX = {"uvx copier": f"{sys.executable} -m copier"}


@pytest.fixture(scope="session")
def project_with_everything(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("everything") / "my-app"
    project = render(template, folder, capabilities=CHOICES["capabilities"])
    run("make", "init", cwd=project)
    commit(project, "feat: start", "--no-verify")
    return project


@pytest.fixture(scope="session")
def python(project_with_everything: Path) -> Iterator[Python]:
    with Python(project_with_everything) as server:
        yield server


@pytest.fixture
def project_to_type_in(project_with_everything: Path) -> Iterator[Path]:
    yield from lend(project_with_everything)
    run("git", "clean", "--quiet", "-d", "--force", "-X", "--", *LEFT_BEHIND, cwd=project_with_everything)
    run("uv", "sync", "--quiet", "--locked", cwd=project_with_everything)


@pytest.mark.full
@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_work(project_to_type_in: Path, python: Python, template: Path, page: str) -> None:
    session = Session(project_to_type_in, environment(**QUIET), {**UVX, "<repo>": str(template)}, python)

    with services(PAGES[page], session):
        session.follow(blocks_of(PAGES[page]))

    for check in (["check"], ["format", "--check"]):  # what a page adds to a project passes the project's own checks
        run(".venv/bin/ruff", *check, "--quiet", cwd=project_to_type_in)


@pytest.mark.full
def test_the_blocks_of_the_reference_work(project_to_type_in: Path, python: Python) -> None:
    """Only the page on agents has any: a copy of the one that projects have."""
    Session(project_to_type_in, environment(**QUIET), python=python).follow(blocks_of(ROOT / "toolkit/docs/agent.md"))


@pytest.mark.full
def test_the_tutorial_works_and_ends_with_the_picture_that_it_shows(template: Path, tmp_path: Path) -> None:
    session = Session(tmp_path, environment(**QUIET), {**UVX, "<repo>": str(template)})

    session.follow(blocks_of(DOCS / "tutorial.md"))

    assert (session.folder / "weekend.svg").read_text("utf-8") == (DOCS / "assets/weekend.svg").read_text("utf-8")
