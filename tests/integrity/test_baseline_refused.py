"""A baseline that no scan could honour is refused before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from mergeguard.core.baseline import Accepted, Baseline
from mergeguard.errors import UsageError
from mergeguard.integrity.scan import ScanOptions, scan_source
from mergeguard.storage.profile import Profile
from mergeguard.storage.targets import open_target


@pytest.mark.parametrize(
    ("rule", "message"), [("MG001", "MG001 is grave and cannot be accepted as a whole"), ("MG01", "no rule 'MG01'")]
)
def test_a_baseline_of_a_whole_grave_rule_or_of_no_rule_is_refused(tmp_path: Path, rule: str, message: str) -> None:
    profile = Profile()
    # The target is missing: a read would say so.
    source = open_target(str(tmp_path / "missing.db"), profile)
    with pytest.raises(UsageError, match=message):
        scan_source(source, profile, ScanOptions(baseline=Baseline((Accepted(rule, "noise"),))))
