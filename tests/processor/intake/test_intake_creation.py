"""The page that tells agents their guid: what is understood, what is answered, and what is refused with the reason."""

from __future__ import annotations

import asyncio
import gzip
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_world import Caller, Tally, posted

from mergeguard.core.importing.keys import COMPUTER
from mergeguard.core.nse.message import Key, Resource
from mergeguard.errors import ConnectFailed, EventParked, MalformedEvent
from mergeguard.processor.intake.app import create_app
from mergeguard.processor.intake.asking import asked_in_query, asked_in_xml
from mergeguard.processor.intake.creation import CREATE_RESOURCE, MOST_BYTES, Creation, answer_of
from mergeguard.processor.intake.http import Intake
from mergeguard.processor.settings import Settings

GUID = uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
OTHER = uuid.UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7")
ASKED = f'<resource guid="{{{GUID}}}" name="PC-1"><key name="uniqueid" value="a1"/></resource>'.encode()
OTHERS: Any = (Intake(Settings, None, None, Tally()), None, str)  # type: ignore[arg-type]
"""What answers the other pages, which nobody calls here."""
CHARACTERS = st.characters(
    codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"), exclude_characters="\ufffe\uffff"
)
WORDS = st.text(CHARACTERS, min_size=1, max_size=20).filter(str.strip)


@dataclass
class Known:
    """A registry in a dictionary: a key's owner, or a new resource under the guid that was sent."""

    owners: dict[Key, uuid.UUID] = field(default_factory=dict)
    fault: Exception | None = None
    questions: list[Resource] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    def asked(self, answer: str) -> None:
        self.answers.append(answer)

    def register(self, asked: Resource) -> Resource:
        self.questions.append(asked)
        if self.fault is not None:
            raise self.fault
        owner = next((self.owners[key] for key in asked.keys if key in self.owners), asked.guid or OTHER)
        self.owners.update(dict.fromkeys(asked.keys, owner))
        return replace(asked, guid=owner)


def caller(known: Known, tmp_path: Path, closed: str | None = None) -> Caller:
    settings = Settings(event_queue_path=tmp_path, retry_after_seconds=7)
    return Caller(create_app(*OTHERS, Creation(known, lambda: settings, known, lambda: closed)))


@pytest.fixture
def known() -> Known:
    return Known()


@pytest.fixture
def client(known: Known, tmp_path: Path) -> Caller:
    return caller(known, tmp_path)


def guid_of(text: str) -> str | None:
    return ET.fromstring(text).get("guid")  # noqa: S314 - our own answer


def test_keys_go_in_and_the_guid_comes_out(client: Caller, known: Known) -> None:
    answer = client.post(CREATE_RESOURCE, ASKED)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert answer.text == f'<resource guid="{GUID}" typeGuid="{COMPUTER}" name="PC-1" />\n'
    assert known.answers == ["told"]
    assert known.questions == [Resource("", GUID, COMPUTER, "PC-1", (Key("uniqueid", "a1"),), 1)]


def test_an_agent_that_was_merged_away_is_told_where_it_is_now(client: Caller, known: Known) -> None:
    known.owners[Key("uniqueid", "a1")] = OTHER
    assert guid_of(client.post(CREATE_RESOURCE, ASKED).text) == str(OTHER)


@pytest.mark.parametrize(
    "query",
    [
        f"?xml={quote(ASKED.decode())}",
        f"?guid={GUID}&name=PC-1&key=uniqueid%3Da1",
        f"?GUID={GUID}&Name=PC-1&Key=uniqueid=a1&compress=1",
    ],
)
def test_a_get_asks_the_same(client: Caller, known: Known, query: str) -> None:
    answer = client.get(CREATE_RESOURCE.upper() + query)
    assert (answer.status, guid_of(answer.text)) == (200, str(GUID))
    assert known.questions == [Resource("", GUID, COMPUTER, "PC-1", (Key("uniqueid", "a1"),), 1)]


def test_a_question_may_be_compressed(client: Caller) -> None:
    assert client.post(CREATE_RESOURCE, gzip.compress(ASKED)).status == 200
    assert client.post(CREATE_RESOURCE, gzip.compress(ASKED), {"content-encoding": "gzip"}).status == 200


def test_elements_of_later_releases_are_let_be(client: Caller, known: Known) -> None:
    body = (
        f'<RESOURCE Guid="{GUID}" Name="A &amp; B" policyKey="p" TypeGuid="{OTHER}"><regRequest guid="x" state="1"/>'
        '<keys><Key Name="fqdn" Value="a.b"/><key name="fqdn" value="a.b"/><key name="fqdn" value="a.c"/></keys>'
        "</RESOURCE>"
    )
    assert client.post(CREATE_RESOURCE, body.encode()).status == 200
    assert known.questions == [Resource("", GUID, OTHER, "A & B", (Key("fqdn", "a.b"), Key("fqdn", "a.c")), 1)]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"<resource/>", "the question has no keys"),
        (b"<keys><key name='a' value='b'/></keys>", "has no element 'resource'"),
        (b"<resource guid='42'><key name='a' value='b'/></resource>", "'42' is no guid"),
        (b"<resource><key name='a'/></resource>", "the key 'a' has no value"),
        (b"<resource><key value='a'/></resource>", "has no name"),
        (b"<resource><key name='a' value='%s'/></resource>" % (b"x" * 501), "longer than 500"),
        (b"<resource>" + b"<key name='a' value='b'/>" * 201 + b"</resource>", "line 1: more than 200 keys"),
        (b"<r><resource/>\n<resource/></r>", "line 2: a second resource"),
        (b"<a>" * 33 + b"</a>" * 33, "more than 32 deep"),
        (b"<!DOCTYPE a><resource/>", "DOCTYPE"),
        (b"<resource>\x03</resource>", "line 1, column 11"),
        (b"plain", "line 1"),
        (gzip.compress(b"x" * 90_000)[:-1], "stops in the middle"),
    ],
    ids=range(13),
)
def test_what_cannot_be_understood_is_refused(client: Caller, known: Known, body: bytes, told: str) -> None:
    answer = client.post(CREATE_RESOURCE, body)
    assert answer.status == 400
    assert told in answer.text
    assert (known.questions, known.answers) == ([], ["refused"])


@pytest.mark.parametrize(
    "query", ["key=uniqueid%3Da%00b", "key=%00%3Da", "key=uniqueid%3Da&name=P%03C", "key=uniqueid%3D%EF%BF%BF"]
)
def test_what_xml_cannot_say_is_refused_in_a_query_too(client: Caller, known: Known, query: str) -> None:
    answer = client.get(f"{CREATE_RESOURCE}?{query}")
    assert answer.status == 400
    assert "which XML has no way to write" in answer.text
    assert (known.questions, known.answers) == ([], ["refused"])


def test_a_question_has_its_limits(client: Caller, known: Known) -> None:
    assert client.post(CREATE_RESOURCE, b" " * (MOST_BYTES + 1)).status == 413
    assert client.post(CREATE_RESOURCE, gzip.compress(b" " * (MOST_BYTES + 1))).status == 413
    assert client.post(CREATE_RESOURCE, ASKED, {"content-encoding": "br"}).status == 415
    assert client.get(CREATE_RESOURCE).status == 400
    assert known.questions == []


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        (EventParked("its guid stands in a cycle", guids=(GUID,), status="cycle"), 503, "its guid stands in a cycle"),
        (ConnectFailed("away"), 503, "the database does not take resources now"),
        (KeyError("a bug"), 503, "the server met a bug"),
        (MalformedEvent("type 42 is not known"), 400, "type 42 is not known"),
    ],
)
def test_what_the_database_says_is_told(client: Caller, known: Known, fault: Exception, status: int, told: str) -> None:
    known.fault = fault
    answer = client.post(CREATE_RESOURCE, ASKED)
    assert (answer.status, told in answer.text) == (status, True)
    assert answer.headers.get("retry-after") == ("7" if status == 503 else None)
    assert answer.text.startswith("server busy: ") is (status == 503)
    assert known.answers == ["busy" if status == 503 else "refused"]


def test_nobody_is_answered_before_the_start_and_after_the_stop(known: Known, tmp_path: Path) -> None:
    answer = caller(known, tmp_path, closed="starting").post(CREATE_RESOURCE, ASKED)
    assert (answer.status, answer.text, answer.headers["retry-after"]) == (503, "server busy: it is starting\n", "1")
    assert known.questions == []


def test_a_server_without_resources_has_no_such_page() -> None:
    assert Caller(create_app(*OTHERS)).post(CREATE_RESOURCE, ASKED).status == 404


def test_an_agent_that_goes_away_is_let_go(client: Caller, known: Known) -> None:
    client.post(CREATE_RESOURCE, [b"<resource>", None])  # type: ignore[list-item]
    assert known.questions == []


@given(name=WORDS, keys=st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_both_ways_of_asking_say_the_same(name: str, keys: list[tuple[str, str]]) -> None:
    root = ET.Element("resource", guid=str(GUID), name=name)
    for key, value in keys:
        ET.SubElement(root, "key", name=key.replace("=", "-"), value=value)
    query = [("guid", str(GUID)), ("name", name), *(("key", f"{key.replace('=', '-')}={value}") for key, value in keys)]
    read = asked_in_xml(ET.tostring(root))
    assert read == asked_in_query(query)
    assert [(key.name, key.value) for key in read.keys] == list(
        dict.fromkeys((key.replace("=", "-").strip(), value.strip()) for key, value in keys)
    )


@given(name=st.text(CHARACTERS, max_size=20))
def test_an_answer_is_xml_whatever_the_name(name: str) -> None:
    found = ET.fromstring(answer_of(Resource("", GUID, None, name)))  # noqa: S314 - our own answer
    assert (found.get("guid"), found.get("name"), found.get("typeGuid")) == (str(GUID), name or None, None)


def test_an_agent_that_stops_in_its_question_is_told_busy(known: Known, tmp_path: Path) -> None:
    settings = Settings(event_queue_path=tmp_path, body_seconds=0.05, retry_after_seconds=7)
    app = create_app(*OTHERS, Creation(known, lambda: settings, known))
    head, *rest = asyncio.run(posted(app, [ASKED[:20]], CREATE_RESOURCE))
    headers = {name.decode(): value.decode() for name, value in head["headers"]}
    assert (head["status"], headers["connection"], headers["retry-after"]) == (503, "close", "7")
    assert rest[0]["body"].startswith(b"server busy: less than 1024 bytes of the body came")
    assert (known.questions, known.answers) == ([], ["busy"])
