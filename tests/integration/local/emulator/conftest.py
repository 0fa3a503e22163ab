"""MiniStack's modules in the process of the tests, for what its own process cannot show."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest


@pytest.fixture
def ministack() -> Iterator[SimpleNamespace]:
    """The modules that patches change, unpatched; put back afterwards as they were, with nothing stored."""
    from ministack.services import apigateway_v1, dynamodb, kinesis, lambda_svc
    from ministack.services.cloudformation import changesets, provisioners

    modules = (apigateway_v1, changesets, dynamodb, kinesis, lambda_svc, provisioners)
    before = [dict(vars(module)) for module in modules]
    tables = dynamodb._tables.__class__
    dicts = (changesets._IMPORT_LOOKUPS, provisioners._RESOURCE_HANDLERS["AWS::Kinesis::Stream"])
    contents = [dict(each) for each in dicts]
    yield SimpleNamespace(**{module.__name__.rpartition(".")[2]: module for module in modules})
    for module, attributes in zip(modules, before, strict=True):
        vars(module).update(attributes)
    dynamodb._tables.__class__ = tables
    for changed, content in zip(dicts, contents, strict=True):
        changed.clear()
        changed.update(content)
    kinesis.reset()
