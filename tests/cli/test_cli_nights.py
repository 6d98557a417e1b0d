"""From night to night: new, recurring and fixed findings, and findings that somebody accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

GUID = "00000000-0000-4000-8000-00000000000"
NIGHTS = "nights.db"


def write(name: str, *pairs: str) -> None:
    """Write a file of merges: ``ab`` stands for a row a -> b."""
    Path(name).write_text("OldGuid,NewGuid\n" + "".join(f"{GUID}{old},{GUID}{new}\n" for old, new in pairs))


def test_three_nights(call: Callable, settled: Callable) -> None:
    def night(*pairs: str) -> tuple[int, str]:
        write("m.csv", *pairs)
        ran = call("scan", "m.csv", "--history", NIGHTS, "--fail-on", "new", "--skip", "chain")
        return ran.code, ran.err

    assert night("12", "21") == (1, "history: 1 new, 0 returned, 0 recurring, 0 fixed (1 night of this target)\n")
    assert night("21", "12") == (0, "history: 0 new, 0 returned, 1 recurring, 0 fixed (2 nights of this target)\n")
    assert night("12", "34", "43") == (
        1,
        "history: 1 new, 0 returned, 0 recurring, 1 fixed (3 nights of this target)\n",
    )
    assert night("12", "21") == (1, "history: 0 new, 1 returned, 0 recurring, 1 fixed (4 nights of this target)\n")
    page = call("history", "m.csv", "--history", NIGHTS)
    assert (page.code, page.err) == (0, "")
    assert len([line for line in page.out.splitlines() if line.endswith("yes")]) == 4
    assert f"returned: MG001 {GUID}1" in page.out
    assert f"fixed: MG001 {GUID}3" in page.out
    assert (
        len(call("history", "m.csv", "--history", NIGHTS, "--nights", "2").out.splitlines())
        == len(page.out.splitlines()) - 2
    )


def test_remember_keeps_the_night_where_the_settings_say(call: Callable, cycle: Path, tmp_path: Path) -> None:
    usual = tmp_path / "state" / "mergeguard" / "history.db"
    assert call("scan", cycle).err == ""
    assert not usual.exists()
    assert call("scan", cycle, "--remember").err.startswith("history: 2 new")
    assert usual.exists()
    assert call("history").out == "cycle.csv\n"


def test_a_history_that_is_named_in_the_settings_is_kept(call: Callable, cycle: Path, folder: Path) -> None:
    (folder / "mergeguard.toml").write_text(f'history = "{NIGHTS}"\n')
    assert call("scan", cycle).err.startswith("history: 2 new")
    assert call("history", cycle).code == 0
    (folder / "mergeguard.toml").write_text('history = "none"\n')
    assert call("scan", cycle).err == ""
    assert call("history", cycle).refused(2, "no history is kept")


def test_two_targets_have_two_histories(call: Callable) -> None:
    write("a.csv", "12", "21")
    write("b.csv", "12")
    for name in ("a.csv", "b.csv"):
        assert "(1 night of this target)" in call("scan", name, "--history", NIGHTS).err
    assert call("history", "--history", NIGHTS).out == "a.csv\nb.csv\n"


def test_a_baseline_goes_round(call: Callable) -> None:
    write("m.csv", "12", "21")
    assert call("scan", "m.csv", "--write-baseline", "known.toml").code == 1
    draft = Path("known.toml").read_text()
    assert "MG001" in draft
    Path("known.toml").write_text(draft.replace("TODO", "shared key, ticket 7") if "TODO" in draft else draft)
    ran = call("scan", "m.csv", "--baseline", "known.toml")
    assert (ran.code, ran.err) == (0, "")
    write("m.csv", "12", "21", "34", "43")
    ran = call("scan", "m.csv", "--baseline", "known.toml")
    assert ran.code == 1
    assert f"{GUID}3" in ran.out
    assert f"{GUID}1 ->" not in ran.out
    assert call("scan", "m.csv", "--baseline", "known.toml", "--write-baseline", "more.toml").code == 1
    assert call("scan", "m.csv", "--baseline", "more.toml").code == 0


def test_a_baseline_may_be_its_own_draft(call: Callable) -> None:
    write("m.csv", "12", "21")
    call("scan", "m.csv", "--write-baseline", "known.toml")
    write("m.csv", "12", "21", "34", "43")
    assert call("scan", "m.csv", "--baseline", "known.toml", "--write-baseline", "known.toml").code == 1
    assert call("scan", "m.csv", "--baseline", "known.toml").code == 0


@pytest.mark.parametrize("spent", ["--exit-zero", "--fail-on=none"])
def test_a_night_without_a_verdict_is_remembered_all_the_same(spent: str, call: Callable, cycle: Path) -> None:
    ran = call("scan", cycle, "--history", NIGHTS, spent)
    assert (ran.code, ran.err) == (0, "history: 2 new, 0 returned, 0 recurring, 0 fixed (1 night of this target)\n")
