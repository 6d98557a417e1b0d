"""The Python names as Markdown: signature, first sentence, fields."""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import re
from itertools import pairwise

import mergeguard
from docs.session import Session


def reference(_words: str, _shell: Session) -> str:
    """Write a section for every public name: functions first, then classes."""
    names = [name for name in mergeguard.__all__ if not name.startswith("__")]
    functions = [name for name in names if inspect.isfunction(getattr(mergeguard, name))]
    classes = [name for name in names if name not in functions]
    parts = ["## Functions", *map(_function, functions), "## Classes", *map(_class, classes)]
    return "\n\n".join(parts)


def _function(name: str) -> str:
    found = getattr(mergeguard, name)
    signature = inspect.signature(found)
    kept = [_parameter(parameter) for parameter in signature.parameters.values()]
    keyword_only = [
        at for at, parameter in enumerate(signature.parameters.values()) if parameter.kind is parameter.KEYWORD_ONLY
    ]
    if keyword_only:
        kept.insert(keyword_only[0], "*")
    returned = _plain(signature.return_annotation)
    code = f"{name}({', '.join(kept)}) -> {returned}"
    if len(code) > 100:
        code = f"{name}(\n" + "".join(f"    {one},\n" for one in kept) + f") -> {returned}"
    story = _story(found)
    return f"### `{name}`\n\n```python\n{code}\n```\n\n{story}"


def _parameter(parameter: inspect.Parameter) -> str:
    text = f"{parameter.name}: {_plain(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return text
    default = parameter.default
    if dataclasses.is_dataclass(default):
        shown = f"{type(default).__name__}()"
    else:
        shown = getattr(default, "__name__", None) or repr(default)
    return f"{text} = {shown}"


def _plain(annotation: object) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _story(found: object) -> str:
    """Return the docstring as Markdown: what is raised becomes a list."""
    text, _, raised = inspect.cleandoc(getattr(found, "__doc__", None) or "").partition("\n\nRaises:\n")
    text, raised = _markdown(text.partition("\n\nArgs:\n")[0]), _markdown(raised)
    if not raised:
        return text
    lines = re.sub(r"\n\s{5,}", " ", inspect.cleandoc(raised)).splitlines()
    return text + "\n\nRaises:\n\n" + "\n".join(f"- `{one.partition(':')[0]}`:{one.partition(':')[2]}" for one in lines)


def _markdown(text: str) -> str:
    return text.replace("``", "`")


def _class(name: str) -> str:
    found = getattr(mergeguard, name)
    parts = [f"### `{name}`", _story(found)]
    if issubclass(found, enum.Enum):
        parts.append("\n".join(f"- `{member.name}` = `{member.value!r}`" for member in found))
    elif dataclasses.is_dataclass(found):
        parts.append(_fields(found))
    methods = [_member(key, value) for key, value in vars(found).items() if _shown(key, value, found)]
    return "\n\n".join([*parts, *(["\n".join(methods)] if methods else [])])


def _shown(key: str, value: object, found: type) -> bool:
    # What networkx declares, networkx documents.
    ours = not key.startswith("_") and found.__name__ != "MergeGraph"
    return ours and (isinstance(value, (property, classmethod)) or inspect.isfunction(value))


def _member(key: str, value: object) -> str:
    if isinstance(value, property):
        return f"- `{key}`: {_first(value.__doc__)}"
    function = value.__func__ if isinstance(value, classmethod) else value
    names = [one for one in inspect.signature(function).parameters if one not in {"self", "cls"}]  # type: ignore[arg-type]
    return f"- `{key}({', '.join(names)})`: {_first(function.__doc__)}"  # type: ignore[attr-defined]


def _first(text: str | None) -> str:
    return _markdown(inspect.cleandoc(text or "").partition("\n\n")[0].replace("\n", " "))


def _fields(found: type) -> str:
    told = _field_stories(found)
    rows = ["| field | type | meaning |", "|---|---|---|"]
    for field in dataclasses.fields(found):
        kind = _plain(field.type).replace("|", "\\|")
        rows.append(f"| `{field.name}` | `{kind}` | {told.get(field.name, '')} |")
    return "\n".join(rows)


def _field_stories(found: type) -> dict[str, str]:
    """Return what the strings below the fields of a class say."""
    [tree] = ast.parse(inspect.getsource(found)).body
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    told = {}
    for one, below in pairwise(body):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and isinstance(below, ast.Expr):
            text = ast.literal_eval(below.value) if isinstance(below.value, ast.Constant) else ""
            told[one.target.id] = _first(text).replace("|", "\\|")
    return told
