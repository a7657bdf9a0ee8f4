"""Methods of the async resources, read from their source: the sync package's twins of them are generated.

What is written by hand on top of the generated resources, and what a template says once for both packages.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable
from pathlib import Path

from attrs import frozen

from .refuse import DescriptionError
from .render_resources import Method
from .render_waits import PACKAGE as GENERATED

FOLDER = "openrelay_async/resources"
PACKAGE = "openrelay_async.resources"


@frozen
class Additions:
    """What a hand-written module adds to a resource: the sync twins, and what they may need."""

    methods: tuple[Method, ...]
    imports: tuple[str, ...]
    """More than is used: the unused ones are taken out when the file is formatted."""
    typing_imports: tuple[str, ...]
    """What only annotations name: the sync twin does not load it either."""


def find_home(root: Path, resource: str) -> str:
    """Return the package with a resource's class: what is written by hand stands for what is generated."""
    return PACKAGE if (root / FOLDER / f"{resource}.py").exists() else GENERATED


def read_additions(root: Path, resource: str, class_name: str) -> Additions | None:
    """Return what a resource's hand-written module adds, `None` if there is no such module.

    Raises:
        DescriptionError: a method whose sync twin is not obvious.
    """
    where = f"{FOLDER}/{resource}.py"
    path = root / where
    if not path.exists():
        return None
    tree = ast.parse(path.read_text("utf-8"))
    imports = [ast.unparse(node) for node in tree.body if isinstance(node, ast.ImportFrom | ast.Import)]
    typing_imports = [
        ast.unparse(each)
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for each in node.body
    ]
    own = [
        name for node in tree.body for name in _defined_names(node) if name != class_name and name[0] != "_"
    ]
    if own:
        imports.append(f"from {PACKAGE}.{resource} import {', '.join(own)}")
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            return Additions(tuple(_read_methods(node, where)), tuple(imports), tuple(typing_imports))
    raise DescriptionError(where, f"has no class {class_name}")


def read_twins(block: str, where: str) -> tuple[Method, ...]:
    """Return the sync twins of a class's methods, given as its indented source."""
    [node] = ast.parse(f"class Resource:\n{block}\n").body
    return tuple(_read_methods(node, where)) if isinstance(node, ast.ClassDef) else ()


def _defined_names(node: ast.stmt) -> Iterable[str]:
    if isinstance(node, ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


def _read_methods(resource: ast.ClassDef, where: str) -> Iterable[Method]:
    overloads: list[str] = []
    for node in resource.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        decorators = {ast.unparse(each) for each in node.decorator_list}
        if "overload" in decorators:
            overloads.append(f"@overload\n    {_spell_head(node, _sync_type(node, where)[0])} ...")
            continue
        if "property" in decorators:
            problem = f"the property {node.name} has no obvious sync twin"
            raise DescriptionError(where, problem)
        returns, wrapper = _sync_type(node, where)
        call = f"self._resource.{node.name}({_pass_on(node.args)})"
        yield Method(
            node.name,
            head=_spell_head(node, returns),
            doc=_sync_doc(ast.get_docstring(node) or ""),
            statements=(*_concealing(node), wrapper.format(call)),
            overloads=tuple(overloads),
        )
        overloads = []


def _sync_type(node: ast.FunctionDef | ast.AsyncFunctionDef, where: str) -> tuple[str, str]:
    """Return a method's return type in the sync package, and how its call is made there."""
    returns = ast.unparse(node.returns) if node.returns else "None"
    outer, _, inner = returns.partition("[")
    inner = inner.removesuffix("]")
    decorators = {ast.unparse(each) for each in node.decorator_list}
    if "asynccontextmanager" in decorators:
        item = inner.removesuffix(", None")
        return f"SyncContext[{item}]", "return SyncContext(self._bridge, {})"
    if outer in ("AsyncGenerator", "AsyncIterator"):
        item = inner.removesuffix(", None")
        return f"Generator[{item}, None, None]", "return iterate(self._bridge, {})"
    if isinstance(node, ast.AsyncFunctionDef):
        return returns, "self._bridge.run({})" if returns == "None" else "return self._bridge.run({})"
    if outer == "Lease":
        return f"SyncContext[{inner.partition(', ')[2]}]", "return SyncContext(self._bridge, {})"
    if outer == "PagedCall":
        return f"SyncPagedCall[{inner}]", "return SyncPagedCall(self._bridge, {})"
    if outer in ("Awaitable", "Coroutine", "DownloadCall") or outer.endswith("ContextManager"):
        raise DescriptionError(where, f"{node.name} returns {returns}: its sync twin is not obvious")
    return returns, "return {}"


def _spell_head(node: ast.FunctionDef | ast.AsyncFunctionDef, returns: str) -> str:
    return f"def {node.name}({ast.unparse(node.args)}) -> {returns}:"


def _pass_on(arguments: ast.arguments) -> str:
    words = [each.arg for each in (*arguments.posonlyargs, *arguments.args) if each.arg != "self"]
    if arguments.vararg:
        words.append(f"*{arguments.vararg.arg}")
    words += [f"{each.arg}={each.arg}" for each in arguments.kwonlyargs]
    if arguments.kwarg:
        words.append(f"**{arguments.kwarg.arg}")
    return ", ".join(words)


def _concealing(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterable[str]:
    """Yield the statements that conceal secret arguments: the sync frame is in tracebacks as well."""
    for statement in node.body:
        if isinstance(statement, ast.Assign | ast.If) and "conceal(" in (text := ast.unparse(statement)):
            yield textwrap.indent(text, " " * 8).lstrip()


def _sync_doc(doc: str) -> str:
    for word in ("async with", "async for"):
        doc = doc.replace(word, word.removeprefix("async "))
    return textwrap.indent(doc.replace("await ", ""), " " * 8).strip() + ("\n        " if "\n" in doc else "")
