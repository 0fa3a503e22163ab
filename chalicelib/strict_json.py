"""JSON read strictly: no key twice in one object, no NaN or Infinity, and every number as it is written."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NoReturn

import msgspec

from chalicelib.text import quoted


class RepeatedKeyError(ValueError):
    """An object has a key twice, so readers disagree on its value."""


class ConstantError(ValueError):
    """NaN or Infinity, which JSON does not have and Python's reader takes."""


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        repeated, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise RepeatedKeyError(f"the key {quoted(repeated)} stands twice in one object")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ConstantError(f"{name} is not JSON")


#: Decodes a text.  Numbers become `msgspec.Raw`, which is written back as it stands: none is too long or too
#: precise.  Raises RepeatedKeyError, ConstantError, json.JSONDecodeError and RecursionError.
decode = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=msgspec.Raw, parse_float=msgspec.Raw, parse_constant=_no_constant
).decode
