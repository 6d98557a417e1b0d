"""Imported before anything that needs them: says which extra brings a package that is not installed."""

from __future__ import annotations

from importlib.util import find_spec

for _package, _extra in (("hypothesis", "testing"), ("psycopg", "testing,postgresql")):
    if find_spec(_package) is None:
        raise ImportError(f"mergeguard.testing needs {_package}: pip install 'mergeguard[{_extra}]'", name=_package)
