"""JSON as the wire format, EPCIS documents and recorded files are read."""

import json

import msgspec
import pytest

from chalicelib import strict_json


@pytest.mark.parametrize(
    "number", ["1.10", "1e2", "-0", "1" * 5000, "0.1234567890123456789012345678901234567890"]
)
def test_a_number_is_written_back_as_it_was(number: str) -> None:
    read = strict_json.decode(f'{{"n":{number}}}')

    assert msgspec.json.encode(read) == f'{{"n":{number}}}'.encode()


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ('{"a":1,"a":1}', strict_json.RepeatedKeyError, "the key 'a' stands twice in one object"),
        ('[{"b":{"\\u0061":1,"a":2}}]', strict_json.RepeatedKeyError, "the key 'a' stands twice"),
        ('{"a":NaN}', strict_json.ConstantError, "NaN is not JSON"),
        ("[-Infinity]", strict_json.ConstantError, "-Infinity is not JSON"),
        ("{", json.JSONDecodeError, "Expecting property name"),
    ],
)
def test_what_readers_disagree_on_is_refused(text: str, error: type[ValueError], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        strict_json.decode(text)
