"""The documentation site: it builds without a warning, loads nothing from elsewhere, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from dashboard import env
from scanner.check import all_checks
from scanner.policy_file import read_policy
from tests.docs_blocks import ROOT, blocks

DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
#: Read on a code host, outside the site.
OUTSIDE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
#: A picture of the documentation is looked at over slow lines as well.
LARGEST = 200_000


class Loads(HTMLParser):
    """Addresses that a browser fetches by itself for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "link" and given.get("rel") in ("canonical", "next", "prev"):
            return
        if tag != "a":
            self.found += [given[name] for name in ("src", "href", "srcset", "data") if given.get(name)]


@pytest.fixture(scope="session", name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    environment = {"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1", "LANG": "C.UTF-8"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def test_every_page_is_built_and_none_loads_anything_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert {path.relative_to(site).with_suffix(".md").as_posix() for path in pages} >= set(PAGES)

    for path in pages:
        loads = Loads()
        loads.feed(path.read_text(encoding="utf-8"))
        elsewhere = [url for url in loads.found if urlsplit(url).scheme not in ("", "data") or url.startswith("//")]
        assert not elsewhere, f"{path.name} loads {elsewhere}"


def test_style_sheets_load_nothing_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.css"):
        assert not re.findall(r"url\(\s*[\"']?(?:https?:)?//", path.read_text(encoding="utf-8")), path.name


def test_every_page_is_in_the_navigation() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))

    def places(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        inner = entry.values() if isinstance(entry, dict) else entry
        assert not isinstance(inner, str)
        return [path for one in inner for path in places(one)]  # type: ignore[attr-defined]

    assert sorted(places(config["nav"])) == PAGES


@pytest.mark.parametrize("page", OUTSIDE)
def test_links_of_pages_outside_the_site_lead_somewhere(page: str) -> None:
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", text)

    assert links
    for link in (one or other for one, other in links):
        target = urlsplit(link)
        if target.scheme:
            continue
        path = ROOT / target.path
        assert path.exists(), f"{page}: {link}"
        if target.fragment:
            assert target.fragment in anchors(path), f"{page}: {link}"


def anchors(path: Path) -> set[str]:
    """Of the headings of a page, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *(f"../{name}" for name in OUTSIDE)])
def test_what_pages_name_is_there(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    if page == "metrics.md":  # its names are those of metrics
        text = re.sub(r"credboard_\w+", "", text)

    unknown = set(re.findall(r"\bCREDBOARD_[A-Z_]+\b", text)) - KNOWN_SETTINGS
    assert not unknown, f"{page} names settings that are none: {unknown}"
    codes = set(re.findall(r"\b(?:PS|PO|TK|CE|RQ|HY)\d\d\b", text)) - all_checks().keys()
    assert codes <= {"HY99"}, f"{page} names checks that are none: {codes}"
    for path in re.findall(r"`((?:tests|scanner|dashboard|helm|docs|docker)/[\w./-]+)`", text):
        is_example = any(name in path.lower() for name in ("hy99", "hugging"))
        assert is_example or (ROOT / path).exists(), f"{page} names {path}, which is not there"


@pytest.mark.parametrize("page", [*PAGES, *(f"../{name}" for name in OUTSIDE)])
def test_commands_that_pages_name_are_there_with_these_arguments(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")

    for name, arguments in re.findall(r"manage\.py ([a-z][\w-]*)((?: --[a-z][a-z-]*)*)", text):
        known = get_commands()
        assert name in known, f"{page} names manage.py {name}"
        application = known[name]
        assert isinstance(application, str)
        parser = load_command_class(application, name).create_parser("manage.py", name)
        options = {option for action in parser._actions for option in action.option_strings}
        assert set(arguments.split()) <= options, f"{page} names manage.py {name}{arguments}"


def test_examples_of_the_policy_file_can_be_read() -> None:
    examples = [block for page in ("docs/policy.md", "docs/guides/operators.md") for block in blocks(page)]

    texts = [block.text for block in examples if block.language == "yaml"]
    assert len(texts) >= 2
    assert all(read_policy(text, name="example").requirements for text in texts)


KNOWN_SETTINGS = {one.name for one in env.declared()}
KNOWN_SETTINGS |= {f"{name}_FILE" for name in KNOWN_SETTINGS}
# What Docker Compose is told by, which may be no setting: CREDBOARD_PUBLISH.
KNOWN_SETTINGS |= set(re.findall(r"\$\{(CREDBOARD_\w+)", (ROOT / "docker-compose.yml").read_text(encoding="utf-8")))


def test_pictures_are_small_and_used() -> None:
    text = "".join((DOCS / page).read_text(encoding="utf-8") for page in PAGES)
    text += "".join((ROOT / page).read_text(encoding="utf-8") for page in OUTSIDE)
    text += (ROOT / "mkdocs.yml").read_text(encoding="utf-8")

    for path in sorted((DOCS / "images").iterdir()):
        assert path.stat().st_size < LARGEST, path.name
        assert path.name in text, f"{path.name} is on no page"


def test_the_site_has_the_product_s_own_mark() -> None:
    assert (DOCS / "images" / "logo.svg").read_bytes() == (ROOT / "static" / "favicon.svg").read_bytes()


def test_every_identity_of_the_threat_model_says_what_is_in_the_way() -> None:
    text = (DOCS / "security.md").read_text(encoding="utf-8")
    part = text.partition("## If it were stolen")[2].partition("\n## ")[0]
    sections = part.split("\n### ")[1:]

    assert len(sections) >= 12
    for section in sections:
        assert "**In the way:**" in section, section.splitlines()[0]


def test_answers_cite_their_threads_and_name_checks() -> None:
    text = (DOCS / "faq.md").read_text(encoding="utf-8")
    questions = text.split("\n### ")[1:]

    assert len(questions) >= 15
    for question in questions:
        title = question.splitlines()[0]
        assert re.search(r"\]\(https://github\.com/[\w.-]+/[\w.-]+/(?:issues|pull)/\d+\)", question), title
        assert "**Credboard" in question, title
