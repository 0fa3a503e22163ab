"""The KPL's aggregation format: many user records in the data of one Kinesis record.

Of `aws-kinesis-agg` the message definitions are used and not its `deaggregator`: on an index that points
outside its tables that prints the error and drops the rest of the aggregate, which is a silent loss.
"""

import hashlib
import sys
from typing import Any

#: How an aggregated record's data begins (awslabs/amazon-kinesis-producer, aggregation-format.md).
KPL_MAGIC = b"\xf3\x89\x9a\xc2"
_MD5_BYTES = 16

#: The longest partition key (Kinesis API reference, PutRecord).
MAX_KEY_CHARACTERS = 256


def is_aggregate(data: bytes) -> bool:
    """Whether data begins as an aggregate does."""
    return data.startswith(KPL_MAGIC)


def parse(data: bytes) -> Any:
    """The AggregatedRecord message that data with the KPL's beginning holds; None when it is not whole."""
    message, checksum = data[len(KPL_MAGIC) : -_MD5_BYTES], data[-_MD5_BYTES:]
    if not message or hashlib.md5(message, usedforsecurity=False).digest() != checksum:
        return None
    from google.protobuf.message import DecodeError  # 25 ms, and most streams never need it

    aggregate = aggregated_record()
    try:
        aggregate.ParseFromString(message)
        keys = list(aggregate.partition_key_table)
    except (DecodeError, UnicodeDecodeError):  # some builds of protobuf say it so, where text is not UTF-8
        return None
    inside = aggregate.records
    points_nowhere = any(inner.partition_key_index >= len(keys) for inner in inside)
    return aggregate if inside and not points_nowhere and all(map(_is_key, keys)) else None


def _is_key(key: object) -> bool:
    """Whether Kinesis takes this as a partition key; one that is not UTF-8 comes as bytes."""
    return isinstance(key, str) and 1 <= len(key) <= MAX_KEY_CHARACTERS


def aggregated_record() -> Any:
    """An empty AggregatedRecord message of the KPL's; importing it changes sys.path, which is put back."""
    path = list(sys.path)
    try:
        from aws_kinesis_agg.deaggregator import messages_pb2
    finally:
        sys.path[:] = path
    return messages_pb2.AggregatedRecord()
