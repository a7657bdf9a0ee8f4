"""What a type checker says to users (R7.4): right code passes, wrong code is marked where it is wrong."""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import json
import re
import subprocess
import sys
import types
import typing
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import openrelay_async
import openrelay_sync
from openrelay_async import AsyncClient, DownloadCall, PagedCall, models
from openrelay_async.resource import Resource

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FILES = ["accepted.py", "refused.py", "accepted_sync.py", "refused_sync.py"]

Marked = dict[str, set[int]]
"""File name → lines with an error."""


def run_mypy(cache: Path) -> Marked:
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(cache)]
    # Alone, as a user's own file: no setting of this project helps.
    command += ["--no-error-summary", "--hide-error-context", *(str(HERE / name) for name in FILES)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert result.stderr == ""
    marked: Marked = {}
    for path, line in re.findall(r"^(.*?\.py):(\d+): error:", result.stdout, re.MULTILINE):
        if Path(path).name in FILES:  # the package itself is checked by `make check`
            marked.setdefault(Path(path).name, set()).add(int(line))
    return marked


def run_basedpyright() -> Marked:
    command = [sys.executable, "-m", "basedpyright", "--outputjson", *(str(HERE / name) for name in FILES)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    marked: Marked = {}
    for each in json.loads(result.stdout)["generalDiagnostics"]:
        if each["severity"] == "error":
            marked.setdefault(Path(each["file"]).name, set()).add(each["range"]["start"]["line"] + 1)
    return marked


def expected() -> Marked:
    return {
        name: {
            number
            for number, line in enumerate((HERE / name).read_text().splitlines(), 1)
            if line.endswith("# refused")
        }
        for name in FILES
        if name.startswith("refused")
    }


def test_mypy_strict_accepts_right_code_and_marks_wrong_code():
    # One cache for all workers of a run, kept for the next one.
    assert run_mypy(ROOT / ".mypy_cache" / "typing_tests") == expected()


def test_basedpyright_accepts_right_code_and_marks_wrong_code():
    found = run_basedpyright()
    assert found == expected()


def public_classes() -> list[type[object]]:
    """Everything that users make or get, models aside."""
    client = AsyncClient("vl_never_sent_anywhere_0123456789", base_url="http://127.0.0.1:1")
    named = [getattr(openrelay_async, name) for name in openrelay_async.__all__]
    kinds = [value for value in named if isinstance(value, type)]
    attributes = [getattr(client, name) for name in dir(AsyncClient) if not name.startswith("_")]
    sync = [openrelay_sync.Client, openrelay_sync.SyncPagedCall, openrelay_sync.SyncDownload]
    resources = [type(value) for value in attributes if isinstance(value, Resource)]
    modules = [f"openrelay_sync.generated.resources.{name}" for name in client_resources()]
    sync += [
        kind
        for module in map(importlib.import_module, modules)
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__
    ]
    return [*kinds, *resources, *sync]


def client_resources() -> list[str]:
    return sorted({operation.resource for operation in openrelay_async.operations.values()})


def model_classes() -> list[type[object]]:
    return [value for name in dir(models) if isinstance(value := getattr(models, name), type)]


@pytest.mark.parametrize("kind", public_classes(), ids=lambda kind: kind.__name__)
def test_no_attribute_is_made_up(kind):
    """R7.4: no `__getattr__` on what users call."""
    if not issubclass(kind, enum.Enum):
        assert not hasattr(kind, "__getattr__")
    if not issubclass(kind, BaseException):
        assert kind.__getattribute__ in (object.__getattribute__, tuple.__getattribute__)


def test_no_attribute_of_a_model_is_made_up():
    for kind in model_classes():
        assert not hasattr(kind, "__getattr__"), kind
        assert kind.__getattribute__ is object.__getattribute__, kind


def public_functions(kind: type[object]) -> list[tuple[str, Any]]:
    members = inspect.getmembers_static(kind)
    names = [
        (name, value.__func__ if isinstance(value, (classmethod, staticmethod)) else value)
        for name, value in members
        if not name.startswith("_")
        or name in ("__init__", "__await__", "__aiter__", "__aenter__", "__call__")
    ]
    functions = [(name, value) for name, value in names if isinstance(value, types.FunctionType)]
    # What `typing` or another library puts into a class is not ours.
    return [each for each in functions if each[1].__module__.startswith("openrelay_")]


def parts(hint: object) -> set[object]:
    """All types in a hint, those inside of others included."""
    inner = typing.get_args(hint) if typing.get_origin(hint) is not typing.Literal else ()
    found = {id(hint): hint}
    for each in inner:
        for part in parts(each) if not isinstance(each, list) else set().union(*map(parts, each)):
            found[id(part)] = part
    return set(found.values())


@cache
def names_for_checkers(module: str) -> dict[str, object]:
    """What a module imports only `if TYPE_CHECKING`."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    blocks = [
        node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    names: dict[str, object] = {}
    for node in (inner for block in blocks for inner in block.body if isinstance(inner, ast.ImportFrom)):
        for name in node.names:
            if node.module and node.module.startswith("openrelay_"):
                value = getattr(importlib.import_module(node.module), name.name)
            else:
                value = object  # pandas, which is an extra
            names[name.asname or name.name] = value
    return names


HINTS = [
    pytest.param(function, id=f"{kind.__module__}.{kind.__name__}.{name}")
    for kind in public_classes()
    if kind.__module__.startswith("openrelay_")
    for name, function in public_functions(kind)
]


@pytest.mark.parametrize("function", HINTS)
def test_public_signature_says_what_it_takes_and_gives(function):
    """R7.4: no `Any`, nothing without a type, and no error as a value."""
    namespace = dict(names_for_checkers(function.__module__))
    hints = typing.get_type_hints(function, localns=namespace)
    parameters = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
    assert {*parameters, "return"} <= hints.keys()
    for hint in hints.values():
        assert Any not in parts(hint)
    for part in parts(hints["return"]):
        assert not (isinstance(part, type) and issubclass(part, BaseException))


def test_no_field_of_a_model_is_any():
    for kind in model_classes():
        for name, hint in typing.get_type_hints(kind).items():
            if typing.get_origin(hint) is not typing.ClassVar:
                assert Any not in parts(hint), (kind, name)


def test_calls_that_are_not_awaited_say_what_they_are():
    assert "await" in repr(AsyncClient("k" * 30).vms.list())
    assert {"first", "pages", "next_cursor"} <= set(dir(PagedCall))
    assert "save" in dir(DownloadCall)
