from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from importing_samples import CATALOGUE, SERVER, SOFTWARE, key

from mergeguard.core.importing.keys import COMPUTER, KeyRules, digits, folded, matching, plain, usable
from mergeguard.core.nse.message import Key

RULES = KeyRules(junk=frozenset({plain("To Be Filled By OEM")}), macs=frozenset({digits("00:00:00:00:00:00")}))


@pytest.mark.parametrize(
    "junk",
    [
        "serial=to be filled by o.e.m.",
        "serial=To_Be_Filled_By_OEM",
        "macaddress=00-00-00-00-00-00",
        "MacAddress=000000000000",
        "uniqueid=ffffffff-FFFF-ffff-ffff-ffffffffffff",
        "uniqueid={00000000-0000-0000-0000-000000000000}",
        "fqdn=   ",
        "fqdn=---",
    ],
)
def test_keys_that_tell_nothing_are_neither_matched_nor_kept(junk: str) -> None:
    assert usable([key(junk), key("fqdn=pc.example")], RULES) == (key("fqdn=pc.example"),)


def test_an_address_is_junk_as_an_address_only() -> None:
    assert usable([key("fqdn=000000000000")], RULES) == (key("fqdn=000000000000"),)


@given(st.lists(st.builds(Key, st.sampled_from(["fqdn", "FQDN", " fqdn "]), st.sampled_from(["a", "A", " a", "b"]))))
def test_a_key_counts_once_whatever_its_case(keys: list[Key]) -> None:
    found = usable(keys, RULES)
    assert len({folded(each) for each in found}) == len(found)
    assert {folded(each) for each in found} == {folded(each) for each in keys}


def test_only_enforcement_keys_of_the_type_and_its_bases_match() -> None:
    keys = [key("fqdn=a"), key("FQDN=b"), key("hash=1"), key("serial=2")]
    assert matching(keys, COMPUTER, CATALOGUE, RULES) == (key("fqdn=a"), key("FQDN=b"))
    assert matching(keys, SERVER, CATALOGUE, RULES) == (key("fqdn=a"), key("FQDN=b"))
    assert matching(keys, SOFTWARE, CATALOGUE, RULES) == (key("hash=1"),)
    assert matching(keys, None, CATALOGUE, RULES) == ()


def test_a_filtered_name_finds_no_computer_and_still_finds_others() -> None:
    rules = KeyRules(filtered=frozenset({"fqdn", "hash"}))
    keys = [key("fqdn=a"), key("macaddress=b"), key("hash=1")]
    assert matching(keys, SERVER, CATALOGUE, rules) == (key("macaddress=b"),)
    assert matching(keys, SOFTWARE, CATALOGUE, rules) == (key("hash=1"),)
    assert usable(keys, rules) == tuple(keys)


def test_a_key_is_kept_without_the_blanks_around_it() -> None:
    assert usable([Key(" fqdn ", " pc.example\t")], RULES) == (key("fqdn=pc.example"),)
