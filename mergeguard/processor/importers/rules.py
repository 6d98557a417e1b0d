"""What administrators have set about keys, agents and events, in the words of the importers."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from mergeguard.core.importing.keys import KeyRules, digits, plain
from mergeguard.processor.settings import Settings

NO_COMPUTER_MERGES: Final = 1
"""The bit of ``ComputerResourceMergeSettings`` that keeps computers apart."""
_BETWEEN: Final = re.compile(r"[;,\n]")


def key_rules(settings: Settings) -> KeyRules:
    """Return the rules about keys."""
    return _key_rules(
        settings.computer_resource_key_filter,
        settings.ignored_key_values,
        settings.invalid_mac_addresses,
        not settings.computer_resource_merge_settings & NO_COMPUTER_MERGES,
    )


def logon_classes(settings: Settings) -> frozenset[str]:
    """Return the names and tables, in lower case, of the event classes that retired computers may send."""
    return _names(settings.logon_event_classes)


@lru_cache(maxsize=8)
def _key_rules(filtered: str, junk: str, macs: str, merges_computers: bool) -> KeyRules:
    return KeyRules(
        filtered=_names(filtered),
        junk=frozenset(plain(each) for each in _parts(junk)),
        macs=frozenset(digits(each) for each in _parts(macs)),
        merges_computers=merges_computers,
    )


@lru_cache(maxsize=8)
def _names(text: str) -> frozenset[str]:
    return frozenset(each.lower() for each in _parts(text))


def _parts(text: str) -> list[str]:
    return [each.strip() for each in _BETWEEN.split(text) if each.strip()]
