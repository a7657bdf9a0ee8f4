"""The sync package has the async operations: name by name, parameter by parameter, default by default."""

from __future__ import annotations

import inspect

import pytest

from openrelay_async.generated import resources as async_resources
from openrelay_async.generated.operations import OPERATIONS
from openrelay_sync.generated import resources as sync_resources

CLASSES = sorted(async_resources.__all__)


def methods(cls: type[object]) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(member)
        for name, member in vars(cls).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }


def test_both_packages_have_the_same_resources() -> None:
    assert set(sync_resources.__all__) == set(async_resources.__all__)


def test_every_operation_has_a_method() -> None:
    count = sum(len(methods(getattr(sync_resources, name))) for name in CLASSES)
    assert count == len(OPERATIONS)


@pytest.mark.parametrize("name", CLASSES)
def test_methods_have_the_same_parameters(name: str) -> None:
    asynchronous = methods(getattr(async_resources, name))
    synchronous = methods(getattr(sync_resources, name))
    assert list(synchronous) == list(asynchronous)
    for method, signature in asynchronous.items():
        # Names, order, kinds, defaults and annotations are all compared.
        assert synchronous[method].parameters == signature.parameters, method


@pytest.mark.parametrize("name", CLASSES)
def test_methods_return_the_same(name: str) -> None:
    synchronous = methods(getattr(sync_resources, name))
    for method, signature in methods(getattr(async_resources, name)).items():
        returned = str(signature.return_annotation)
        returned = returned.replace("PagedCall", "SyncPagedCall").replace("DownloadCall", "SyncDownload")
        assert str(synchronous[method].return_annotation) == returned, method


@pytest.mark.parametrize("name", CLASSES)
def test_methods_say_the_same_and_differ_in_waiting_only(name: str) -> None:
    asynchronous, synchronous = getattr(async_resources, name), getattr(sync_resources, name)
    assert synchronous.__doc__ == asynchronous.__doc__
    for method, signature in methods(asynchronous).items():
        assert getattr(synchronous, method).__doc__ == getattr(asynchronous, method).__doc__
        assert not inspect.iscoroutinefunction(getattr(synchronous, method))
        gives_call = "PagedCall" in str(signature.return_annotation) or "DownloadCall" in str(
            signature.return_annotation
        )
        assert inspect.iscoroutinefunction(getattr(asynchronous, method)) is not gives_call


def test_no_method_speaks_of_awaiting_in_the_sync_package() -> None:
    for name in CLASSES:
        for method in methods(getattr(sync_resources, name)):
            text = getattr(getattr(sync_resources, name), method).__doc__
            assert "await" not in text, f"{name}.{method}"
