"""Flags over environment over file over defaults, end to end; which rules are checked; the shape of the flags."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mergeguard.storage.settings import SETTINGS


def origin(call: Callable, name: str, *flags: str) -> tuple[str, str]:
    """Return value and origin of a setting, as ``config show`` prints them."""
    lines = call("config", "show", "--origin", *flags).out.splitlines()
    value, place = next(line.split(maxsplit=2)[1:] for line in lines if line.split()[0] == name)
    return value, place


def test_every_setting_is_shown_with_where_it_came_from(call: Callable) -> None:
    lines = call("config", "show", "--origin").out.splitlines()
    assert lines[0].split() == ["setting", "value", "from"]
    assert [line.split()[0] for line in lines[2:]] == [setting.name for setting in SETTINGS]
    assert all(line.endswith(" default") for line in lines[2:])


def test_each_source_beats_the_one_below(
    call: Callable, cycle: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("scan", cycle).code == 1
    (folder / "mergeguard.toml").write_text('# nightly\nfail_on = "none"\n')
    assert origin(call, "fail_on") == ("none", "mergeguard.toml:2")
    assert call("scan", cycle).code == 0
    monkeypatch.setenv("MERGEGUARD_FAIL_ON", "warning")
    assert origin(call, "fail_on") == ("warning", "environment MERGEGUARD_FAIL_ON")
    assert call("scan", cycle).code == 1
    assert call("scan", cycle, "--fail-on", "none").code == 0


def test_another_settings_file_and_a_pyproject(call: Callable, cycle: Path, folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.other]\nx = 1\n[tool.mergeguard]\nfail_on = "none"\n')
    assert call("scan", cycle).code == 0
    (folder / "strict.toml").write_text('fail_on = "error"\n')
    assert call("scan", cycle, "--config", "strict.toml").code == 1
    assert origin(call, "fail_on", "--config", "strict.toml") == ("error", "strict.toml:1")


def test_a_profile_of_the_settings_file_stands_beside_it(call: Callable, folder: Path) -> None:
    (folder / "etc").mkdir()
    (folder / "etc" / "vendor.toml").write_text('name = "vendor"\n[merge]\nold = "a"\nnew = "b"\nids = "text"\n')
    (folder / "etc" / "mergeguard.toml").write_text('profile = "vendor.toml"\n')
    (folder / "m.csv").write_text("a,b\nx,y\ny,x\n")
    ran = call("scan", "m.csv", "--config", "etc/mergeguard.toml")
    assert ran.code == 1
    assert "profile vendor" in ran.out


def test_a_mistyped_variable_earns_a_remark(call: Callable, merges: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERGEGUARD_FAIL_NO", "info")
    ran = call("scan", merges)
    assert ran.code == 0
    assert (
        ran.err == "note: the environment variable MERGEGUARD_FAIL_NO is not known; did you mean MERGEGUARD_FAIL_ON?\n"
    )


def rules(call: Callable, target: Path, *flags: str) -> set[str]:
    """Return the rules that a scan reports on, checked or not."""
    ran = call("scan", target, "--format", "json", *flags)
    return {outcome["rule"] for outcome in json.loads(ran.out)["outcomes"]}


def test_only_and_skip_by_id_or_name_repeated_or_between_commas(
    call: Callable, cycle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = rules(call, cycle)
    assert len(every) == 14
    assert rules(call, cycle, "--only", "MG001", "--only", "chain") == {"MG001", "MG013"}
    assert rules(call, cycle, "--only", "mg001, chain") == {"MG001", "MG013"}
    assert rules(call, cycle, "--skip", "cycle,MG013") == every - {"MG001", "MG013"}
    assert rules(call, cycle, "--only", "MG001", "--only", "MG002", "--skip", "MG002") == {"MG001"}
    monkeypatch.setenv("MERGEGUARD_ONLY", "MG001,MG013")
    assert rules(call, cycle) == {"MG001", "MG013"}


def test_a_rule_that_is_left_out_does_not_fail_the_scan(call: Callable, cycle: Path) -> None:
    assert call("scan", cycle, "--skip", "cycle").code == 0
    assert call("scan", cycle, "--only", "MG002").code == 0


def test_the_flags_say_what_a_profile_says(call: Callable, demo: Path, folder: Path) -> None:
    flags = (
        *("--table", "ResourceMerge", "--old-column", "OldGuid", "--new-column", "NewGuid", "--id-column", "Id"),
        *("--time-column", "MergedAt", "--key-column", "MergeKey", "--live", "ItemResource:Guid"),
        *("--types", "Item:Guid:ResourceTypeGuid", "--lookup-table", "mergeguard_lookup"),
        *("--reference", "Inv_InstalledSoftware:_SoftwareComponentGuid"),
    )
    (folder / "bare.toml").write_text('name = "bare"\n')
    reports = [
        json.loads(call("scan", demo, "--format", "json", "--skip", "MG010", *more).out)
        for more in ([], ["--profile", "bare.toml", *flags])
    ]
    prints = [sorted(finding["fingerprint"] for finding in report["findings"]) for report in reports]
    assert prints[0] == prints[1]
    assert len(prints[0]) > 50


def test_live_query_deleted_value_and_byte_order(call: Callable, folder: Path, demo: Path) -> None:
    assert call("scan", demo, "--live-query", "SELECT Guid FROM ItemResource", "--only", "MG005").code == 1
    assert call("scan", demo, "--live-query", "SELECT Guid FROM ItemResource WHERE 0", "--only", "MG005").code == 0
    (folder / "m.csv").write_text("OldGuid,NewGuid\na,gone\nb,a\n")
    flags = ["--ids", "text", "--deleted-value", "gone"]
    assert call("resolve", "m.csv", "b", *flags).out.split()[-1] == "deleted"
    hexes = "OldGuid,NewGuid\n00112233445566778899aabbccddeeff,33221100554477668899aabbccddeeff\n"
    (folder / "h.csv").write_text(hexes)
    assert call("scan", "h.csv", "--byte-order", "sqlserver").code == 0
