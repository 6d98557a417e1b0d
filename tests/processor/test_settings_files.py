"""Where settings stand: XML of the vendor's kind, TOML, the environment; which wins, and what is refused."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.errors import UsageError
from mergeguard.processor.settings import ENTRIES, Settings
from mergeguard.processor.settings_file import files_of, read_settings
from mergeguard.processor.settings_xml import MOST_BYTES, MOST_DEPTH, read_elements
from mergeguard.storage.settings import SETTINGS, resolve_settings

CORE = """<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <CoreSettings>
    <customSetting key="EventRetryLimit" type="local" value="5" />
    <customSetting key="MaxConcurrentConfigRequests" type="local" value="10" />
    <customSetting key="EventCopyFolder" type="local" value="Copies"/>
    <customSetting key="SlowQueueThreshold" type="local" defaultValue="2000000" />
  </CoreSettings>
</configuration>
"""
WHOLE = [
    entry
    for entry in ENTRIES
    if entry.kind == "whole number" and "threshold" not in entry.name and entry.at_most >= 100
]


@pytest.fixture
def core(tmp_path: Path) -> Path:
    path = tmp_path / "CoreSettings.config"
    path.write_text(CORE, "utf-8")
    return path


def written(tmp_path: Path, text: str, name: str = "CoreSettings.config") -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


def test_core_settings_are_read_with_the_line_of_each(core: Path) -> None:
    settings = read_settings([core])

    assert (settings.event_retry_limit, settings.slow_queue_threshold) == (5, 2_000_000)
    assert settings.copy_folder == Path("EventQueue/Copies")
    assert settings.origin("event_retry_limit") == f"{core}:4"
    assert settings.origin("slow_queue_threshold") == f"{core}:7"
    assert settings.origin("lease_seconds") == "default"
    assert settings.notes == (), "hundreds of other settings stand in such a file"


def test_what_is_given_nowhere_is_the_default() -> None:
    assert read_settings() == Settings()


@given(st.dictionaries(st.sampled_from(WHOLE), st.integers(1, 100), max_size=8), st.data())
def test_all_places_give_the_same_values(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("settings")
    named = {data.draw(st.sampled_from(entry.names)): number for entry, number in wanted.items()}
    xml = "".join(f"<s key={quoteattr(name)} value='{number}'/>" for name, number in named.items())
    toml = "[event_queue]\n" + "".join(f'"{name}" = {number}\n' for name, number in named.items())
    variables = {entry.variable: str(number) for entry, number in wanted.items()}

    read = [
        read_settings([written(folder, f"<c>{xml}</c>")]),
        read_settings([written(folder, toml, "x.toml")]),
        read_settings((), variables),
    ]

    expected = Settings(**{entry.name: number for entry, number in wanted.items()})
    assert read == [expected] * 3
    for one in read:
        assert set(one.origins) == {entry.name for entry in wanted}


def test_environment_wins_over_toml_and_toml_over_xml(core: Path, tmp_path: Path) -> None:
    toml = written(tmp_path, "[event_queue]\nevent_retry_limit = 7\nfast_threads = 9\n", "mergeguard.toml")

    settings = read_settings([toml, core], {"MERGEGUARD_FAST_THREADS": "1", "MERGEGUARD_SLOW_THREADS": ""})

    assert (settings.event_retry_limit, settings.fast_threads, settings.slow_threads) == (7, 1, 1)
    assert settings.slow_queue_threshold == 2_000_000
    assert settings.origin("event_retry_limit") == f"{toml}:2"
    assert settings.origin("fast_threads") == "environment MERGEGUARD_FAST_THREADS"


def test_the_files_of_a_folder(tmp_path: Path) -> None:
    assert files_of({}, tmp_path) == ()
    assert files_of({}, tmp_path, Path("own.toml")) == (tmp_path / "own.toml",), "what is asked for must exist"
    written(tmp_path, "", "mergeguard.toml")
    variable = {"MERGEGUARD_CORE_SETTINGS": "/etc/Core.config"}
    assert files_of(variable, tmp_path) == (tmp_path / "mergeguard.toml", Path("/etc/Core.config"))
    assert files_of(variable, tmp_path, None, Path("c.config"))[1] == tmp_path / "c.config"


def test_the_file_of_the_scan_may_hold_the_table_of_the_queue(tmp_path: Path) -> None:
    toml = written(tmp_path, 'fail_on = "warning"\n[event_queue]\nlarge_threads = 3\n', "mergeguard.toml")

    assert resolve_settings({}, {}, tmp_path).fail_on == "warning"
    assert read_settings([toml]).large_threads == 3


@pytest.mark.parametrize(
    ("text", "place", "words", "hint"),
    [
        ("[event_queue]\n\nEventRetryLimt = 3\n", ":3: ", "unknown setting 'EventRetryLimt'", "'EventRetryLimit'"),
        ("[event_queue]\nevent_retry_limit = 'x'\n", ":2: ", "event_retry_limit cannot be 'x'", "whole number"),
        ("[event_queue]\nfast_threads = 1\nMaxConcurrentFastMsgs = 2\n", ":3: ", "second time", ":2"),
        ("event_queue = 3\n", ": ", "must be a table", "[event_queue]"),
        ("[event_queue\n", " ", "not valid TOML", "quotes"),
        ("[event_queue]\nlease_seconds = -1\n", ":2: ", "lease_seconds cannot be -1", "at least 0.01"),
        ("[event_queue]\nfast_threads = true\n", ":2: ", "cannot be True", "whole number"),
    ],
)
def test_a_toml_that_is_wrong_says_where_and_what_would_be_right(
    tmp_path: Path, text: str, place: str, words: str, hint: str
) -> None:
    path = written(tmp_path, text, "mergeguard.toml")
    with pytest.raises(UsageError) as refused:
        read_settings([path])
    assert f"{path}{place}" in refused.value.message
    assert words in refused.value.message
    assert hint in str(refused.value.hint)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('<!DOCTYPE c [<!ENTITY a "b">]><c><s key="EventRetryLimit" value="&a;"/></c>', ":1: a document type"),
        ('<!DOCTYPE c SYSTEM "file:///etc/passwd"><c/>', ":1: a document type"),
        ("<c>\n<d>", ":2: not well-formed XML"),
        ("", "not well-formed XML"),
        ("<c>&undeclared;</c>", "not well-formed XML"),
        ('<?xml version="1.0" encoding="klingon"?><c/>', "encoding"),
        ("<a>" * (MOST_DEPTH + 1), "deep"),
        ("<c>" + "<x/>" * 50_001 + "</c>", "more than 50,000 elements"),
        ("<c>" + "x" * MOST_BYTES + "</c>", "larger than"),
        ('<c><s key="EventRetryLimit" value="three"/></c>', ":1: EventRetryLimit cannot be 'three'"),
        ('<c><s key="EventRetryLimit"/></c>', "has no value"),
        ('<c>\n<s key="EventRetryLimit" value="1"/>\n<s key="eventretrylimit" value="2"/></c>', ":3: EventRetryLimit"),
    ],
)
def test_an_xml_that_is_wrong_is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as refused:
        read_settings([path])
    assert refused.value.message.startswith(str(path))
    assert words in refused.value.message
    assert len(refused.value.message) < 300 + len(str(path))


def test_a_billion_laughs_are_refused_at_the_first(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 30))
    path = written(tmp_path, f'<!DOCTYPE c [<!ENTITY l0 "ha">{entities}]><c>&l29;</c>')
    with pytest.raises(UsageError, match="document type"):
        read_elements(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_encodings_that_a_file_may_have(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "CoreSettings.config"
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    text = f'<?xml version="1.0" encoding="{declared}"?><c><s key="EventCopyFolder" value="Ümläut"/></c>'
    path.write_bytes(text.encode(encoding))
    assert read_settings([path]).event_copy_folder == Path("Ümläut")


def test_a_name_that_looks_mistyped_is_remarked_on(tmp_path: Path) -> None:
    path = written(tmp_path, '<c>\n<s key="EventRetryLimt" value="5"/><s key="LargeEventThreshold" value="1"/></c>')

    settings = read_settings([path], {"MERGEGUARD_LEASE_SECOND": "1", "MERGEGUARD_FAIL_ON": "x"})

    assert settings.notes == (
        "the environment variable MERGEGUARD_LEASE_SECOND is not known; did you mean MERGEGUARD_LEASE_SECONDS?",
        f"{path}:2: 'EventRetryLimt' is not a setting known here; did you mean 'EventRetryLimit'?",
    )
    assert settings.event_retry_limit == 3


def test_settings_of_the_scan_and_of_the_processor_are_not_taken_for_each_other(tmp_path: Path) -> None:
    """Both read the same environment, and each remarks on names that resemble its own."""
    for entry in ENTRIES:
        assert resolve_settings({}, {entry.variable: "1"}, tmp_path).notes == ()
    of_the_scan = dict.fromkeys((setting.variable for setting in SETTINGS), "1")
    assert read_settings((), of_the_scan | {"MERGEGUARD_CORE_SETTINGS": "x"}).notes == ()


def test_a_value_that_lives_in_the_registry_is_not_guessed(tmp_path: Path) -> None:
    path = written(tmp_path, '<c><s key="EventCopyFolder" type="registry" value="HKLM\\Software"/></c>')

    settings = read_settings([path])

    assert settings.event_copy_folder is None
    assert "EventCopyFolder is of type 'registry'" in settings.notes[0]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for name in ("CoreSettings.config", "mergeguard.toml"):
        with pytest.raises(UsageError, match="No such file"):
            read_settings([tmp_path / name])
        (tmp_path / name).mkdir()
        with pytest.raises(UsageError, match="Is a directory"):
            read_settings([tmp_path / name])


@given(st.binary(max_size=400))
def test_no_bytes_make_the_readers_fail_in_another_way(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in ("any.config", "any.toml"):
        path = folder / name
        path.write_bytes(content)
        complaint = ""
        try:
            read_settings([path])
        except UsageError as refused:
            complaint = refused.message
        assert not complaint or str(path) in complaint
