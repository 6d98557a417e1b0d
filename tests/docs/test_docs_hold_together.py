"""Links lead somewhere, named files exist, examples are valid, and the words are those of the project alone."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import jsonschema
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

CHECKOUT = Path(__file__).parents[2]
PAGES = [*sorted(CHECKOUT.glob("*.md")), *sorted((CHECKOUT / "docs").rglob("*.md"))]
# Spelt in two halves, so that this file does not hold them.
FOREIGN = ["/wo" + "rk/", "hel" + "pers/", "sha" + "red/", "hel" + "per session"]


def name(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


def tokens(path: Path) -> list[Token]:
    found = MarkdownIt("commonmark").enable("table").parse(path.read_text("utf-8"))
    return [*found, *(child for token in found for child in token.children or ())]


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    return {slug(line.lstrip("# ")) for line in path.read_text("utf-8").splitlines() if line.startswith("#")}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_and_pictures_lead_somewhere(page: Path) -> None:
    wanted = [token.attrs.get("href") or token.attrs.get("src") for token in tokens(page)]
    for link in filter(None, wanted):
        target, _, anchor = str(link).partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        place = page.parent / target if target else page
        assert place.exists(), f"{name(page)} links to {link}"
        assert not anchor or anchor in anchors(place), f"{name(page)} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_speaks_of_the_project_alone(page: Path) -> None:
    text = page.read_text("utf-8")
    assert [word for word in FOREIGN if word in text] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_has_one_title_and_blocks_that_are_closed(page: Path) -> None:
    text = page.read_text("utf-8")
    titles = [token for token in tokens(page) if token.type == "heading_open" and token.tag == "h1"]

    assert len(titles) == 1
    assert text.count("<!-- generated: ") == text.count("<!-- end -->")
    assert text.count("```") % 2 == 0


@pytest.mark.parametrize("script", ["scripts/quickstart.sh", "scripts/test.sh"])
def test_the_two_commands_of_the_readme_exist(script: str) -> None:
    assert f"\nsh {script}\n" in (CHECKOUT / "README.md").read_text("utf-8")
    assert (CHECKOUT / script).is_file()


def test_every_picture_of_the_documentation_is_shown() -> None:
    shown = {Path(src).name for page in PAGES for src in re.findall(r"!\[[^]]*]\(([^)]+)\)", page.read_text("utf-8"))}
    assert {path.name for path in (CHECKOUT / "docs" / "images").iterdir()} == shown


ARCHITECTURE = (CHECKOUT / "ARCHITECTURE.md").read_text("utf-8")


def test_the_code_map_names_existing_paths() -> None:
    named = {word for word in re.findall(r"`([\w./-]+)`", ARCHITECTURE) if "/" in word}
    roots = (CHECKOUT, CHECKOUT / "mergeguard")

    assert len(named) > 40
    assert sorted(word for word in named if not any((root / word).exists() for root in roots)) == []


def test_every_package_is_in_the_code_map() -> None:
    packages = [path.parent for path in (CHECKOUT / "mergeguard").rglob("__init__.py")]
    below = {os.path.relpath(path, CHECKOUT) for path in packages} - {"mergeguard"}

    assert [path for path in sorted(below) if f"`{path}`" not in ARCHITECTURE] == []


SCHEMAS = {
    "findings": "report-1",
    "story": "explanation-1",
    "answers": "resolve-1",
    "queues": "queue-status-1",
}


def json_examples() -> list[tuple[str, str]]:
    return [
        (name(page), token.content)
        for page in PAGES
        for token in tokens(page)
        if token.type == "fence" and token.info.strip() == "json"
    ]


@pytest.mark.parametrize(("page", "example"), json_examples())
def test_json_examples_are_what_the_schemas_say(page: str, example: str) -> None:
    value = json.loads(example)
    [schema] = [schema for field, schema in SCHEMAS.items() if field in value]

    jsonschema.validate(value, json.loads((CHECKOUT / "mergeguard" / "schemas" / f"{schema}.json").read_text("utf-8")))
    assert page.startswith("docs/")


def test_each_schema_has_an_example() -> None:
    fields = {field for _, example in json_examples() for field in json.loads(example)}
    assert set(SCHEMAS) <= fields


def test_toml_examples_of_settings_and_profiles_can_be_read(tmp_path: Path) -> None:
    from mergeguard.storage.settings import resolve_settings  # noqa: PLC0415 - beside its only use

    read = 0
    for page in PAGES:
        for token in tokens(page):
            if token.type == "fence" and token.info.strip() == "toml" and "mergeguard.toml" in token.content:
                file = tmp_path / "mergeguard.toml"
                file.write_text(token.content, "utf-8")
                resolve_settings({}, {}, tmp_path, file)
                read += 1
    assert read > 1
