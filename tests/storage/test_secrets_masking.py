"""Whatever the password, nothing that is printed holds it."""

from __future__ import annotations

import json
import pickle
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mergeguard.storage.secrets import MASK, SecretUrl, masked, passwords, scrub

PASSWORDS = st.text(min_size=4, max_size=24) | st.text(";{}@%'\" +&=?/:#\\a1\n", min_size=4, max_size=12)


def odbc_braced(password: str) -> str:
    return "{" + password.replace("}", "}}") + "}"


def encoded(text: str) -> str:
    return quote_plus(text.encode("utf-8", "surrogatepass"))


PLACES = {
    "typed as it is": "postgresql://reader:{raw}@db.example.org:5432/cmdb?sslmode=require",
    "encoded": "mssql+pyodbc://reader:{percent}@db.example.org/cmdb?driver=ODBC+Driver+18+for+SQL+Server",
    "in the query": "postgresql://db.example.org/cmdb?user=reader&password={percent}&sslmode=require",
    "of the key file": "postgresql://reader@db.example.org/cmdb?sslkey=/etc/key.pem&sslpassword={percent}",
    "in odbc_connect": "mssql+pyodbc:///?odbc_connect={odbc}",
    "in odbc_connect, not encoded": "mssql+pyodbc:///?odbc_connect=DRIVER={{x}};UID=reader;PWD={braced};Encrypt=yes",
    "in a connection string": "DRIVER={{x}};SERVER=tcp:db,1433;UID=reader;Pwd = {braced};Encrypt=yes",
    "in libpq's words": "host=db.example.org password={raw} user=reader",
    "without slashes": "postgresql:reader:{raw}@db.example.org/cmdb",
    "without a dialect": "reader:{raw}@db.example.org/cmdb",
    "cut off": "postgresql://reader:{raw}@",
}


def filled(place: str, password: str) -> str:
    odbc = f"DRIVER={{ODBC Driver 18 for SQL Server}};SERVER=db;UID=reader;PWD={odbc_braced(password)};Encrypt=yes"
    return PLACES[place].format(
        raw=password, percent=encoded(password), braced=odbc_braced(password), odbc=encoded(odbc)
    )


def small_hex(raw: bytes) -> str:
    return re.sub("%..", lambda code: code[0].lower(), quote(raw, safe=""))


def innocent(password: str, *texts: str) -> None:
    """Leave out a password that the text around it holds anyway."""
    for text in texts:
        assume(password not in text)
        assume(encoded(password) not in text)


@pytest.mark.parametrize("place", PLACES)
@given(PASSWORDS)
@example("{a;b}}c}")
@example("p@ss:w/rd?x=1&y")
@example("100%25 +;PWD=x")
@example(";A00")
@example("ab;A00")
@example("&user")
def test_no_password_survives_masking(place: str, password: str) -> None:
    assume(place != "without a dialect" or not password.startswith("//"))  # that is a dialect
    innocent(password, filled(place, MASK), f"SecretUrl({masked(filled(place, MASK))!r})")
    url = SecretUrl(filled(place, password))
    shown = [masked(url.reveal()), str(url), repr(url), f"{url}", f"{url:>300}", ascii(url), str([url])]
    shown += [repr(pickle.loads(pickle.dumps(url))), repr(pickle.loads(pickle.dumps(ValueError("refused", url))))]  # noqa: S301 - own bytes
    for text in shown:
        assert password not in text
        assert encoded(password) not in text
    assert url.reveal() == filled(place, password)


@pytest.mark.parametrize("place", sorted(set(PLACES) - {"in libpq's words"}))
@given(st.text(st.characters(exclude_characters="@&;?/=% +{}'", exclude_categories=["C", "Z"]), min_size=4))
def test_a_password_that_a_driver_quotes_is_scrubbed(place: str, password: str) -> None:
    known = passwords(filled(place, password))
    quotations = ["login failed for {}", "cannot parse '{}'", "{}{}", "[28000] ({})"]
    innocent(password, *quotations, MASK * 3)
    for quotation in quotations:
        for spelling in (password, encoded(password), odbc_braced(password), repr(password), json.dumps(password)):
            assert password not in scrub(quotation.replace("{}", spelling), known)


@given(password=PASSWORDS, before=st.text(), after=st.text())
def test_scrubbing_a_known_password_leaves_the_rest(password: str, before: str, after: str) -> None:
    innocent(password, before + MASK + after, before, after)
    assume((before + password + after).count(password) == 1)
    assert scrub(before + password + after, [password]) == before + MASK + after


@given(password=PASSWORDS, other=PASSWORDS)
def test_every_encoding_of_a_password_is_scrubbed(password: str, other: str) -> None:
    raw = password.encode("utf-8", "surrogatepass")
    for spelling in (quote(raw), quote(raw, safe=""), quote_plus(raw), small_hex(raw), repr(raw)[2:-1]):
        innocent(spelling, f"<{MASK}>")
        assert spelling not in scrub(f"<{spelling}>", [other, password])


def test_scrubbing_without_secrets_changes_nothing() -> None:
    assert scrub("any text", []) == "any text"
    assert scrub("any text", ["", ""]) == "any text"


def test_a_short_password_is_scrubbed_as_a_word_alone() -> None:
    assert scrub("a bad password: a.", ["a"]) == f"{MASK} bad password: {MASK}."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://reader:geheim@db:5432/cmdb", "postgresql://reader:***@db:5432/cmdb"),
        ("postgresql://reader@db:5432/cmdb", "postgresql://reader@db:5432/cmdb"),
        ("postgresql://db:5432/cmdb", "postgresql://db:5432/cmdb"),
        ("postgresql://reader:@db/cmdb", "postgresql://reader:@db/cmdb"),
        ("postgresql://[::1]:5432/cmdb", "postgresql://[::1]:5432/cmdb"),
        ("postgresql:///cmdb?passfile=/home/me/.pgpass", "postgresql:///cmdb?passfile=/home/me/.pgpass"),
        ("postgresql:///cmdb?sslkey=/k&sslpassword=x1&user=u", "postgresql:///cmdb?sslkey=/k&sslpassword=***&user=u"),
        ("mssql+pyodbc:///?odbc_connect=UID%3Dsa%3BPWD%3D%7Ba%3Bb%7D%7Dc%7D%3BEncrypt%3Dyes",
         "mssql+pyodbc:///?odbc_connect=UID%3Dsa%3BPWD%3D***%3BEncrypt%3Dyes"),
        ("DRIVER={x};PWD={a;b}}c};Encrypt=yes", "DRIVER={x};PWD=***;Encrypt=yes"),
        ("DRIVER={x};PWD=ab;Encrypt=yes", "DRIVER={x};PWD=***;Encrypt=yes"),
        ("DRIVER={x};PWD={never closed;Encrypt=yes", "DRIVER={x};PWD=***"),
        ("sqlite:////var/lib/me@home/merges.db", "sqlite:////var/lib/me@home/merges.db"),
        ("C:\\data\\me@home\\merges.db", "C:\\data\\me@home\\merges.db"),
        ("merges.csv", "merges.csv"),
        ("", ""),
    ],
)  # fmt: skip
def test_only_the_password_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert masked(shown) == shown


@given(st.text())
def test_masking_takes_any_text_and_is_stable(text: str) -> None:
    assert masked(masked(text)) == masked(text)


def test_secret_urls_compare_by_what_they_hide() -> None:
    one, same, other = (SecretUrl(f"postgresql://u:{word}@h/d") for word in ("first", "first", "second"))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != "postgresql://u:first@h/d"
    assert one.secrets == ("first",)
