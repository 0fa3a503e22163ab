"""What is imported into a new stack, held to what CloudFormation documents of imports."""

import json
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from infra import template
from ops.deploy import retained_resources
from ops.deploy.retained_resources import RetainedResource

RESOURCES: dict[str, Any] = template.read()["Resources"]

ALL = [
    RetainedResource(name, definition["Type"], f"the-{name}", f"the-{name}")
    for name, definition in RESOURCES.items()
    if definition["Type"] in retained_resources.IDENTIFIED_BY
]


def imported(*but: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(
        retained_resources.import_template([each for each in ALL if each.resource not in but])
    )
    return made


@pytest.mark.parametrize("kind", retained_resources.IDENTIFIED_BY)
def test_a_resource_is_named_by_what_its_types_schema_names_it_by(kind: str) -> None:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-west-1", kind).schema

    identifier, name = retained_resources.IDENTIFIED_BY[kind]
    assert schema["primaryIdentifier"] == [f"/properties/{identifier}"]
    assert name in schema["properties"]
    assert {"read", "list"} <= schema["handlers"].keys()  # an import reads


def test_what_outlives_its_stack_is_what_can_be_imported() -> None:
    outliving = {
        name
        for name, definition in RESOURCES.items()
        if "RetainExceptOnCreate" in json.dumps(definition.get("DeletionPolicy", "Delete"))
    }

    assert outliving == {each.resource for each in ALL}


def test_a_template_for_an_import_has_these_resources_and_nothing_that_an_import_may_not_bring() -> None:
    made = imported()

    assert made.keys() == {"AWSTemplateFormatVersion", "Description", "Parameters", "Conditions", "Resources"}
    assert made["Resources"].keys() == {each.resource for each in ALL}
    for name, definition in made["Resources"].items():
        assert (definition["DeletionPolicy"], definition["UpdateReplacePolicy"]) == ("Retain", "Retain")
        assert definition["Properties"] == RESOURCES[name]["Properties"]


def test_what_refers_to_something_that_is_not_there_waits_for_the_rest_of_the_stack() -> None:
    made = imported("Parking")["Resources"]

    assert "Parking" not in made
    assert RESOURCES["DeadLetters"]["Properties"].keys() - made["DeadLetters"]["Properties"].keys() == {
        "RedrivePolicy"
    }
