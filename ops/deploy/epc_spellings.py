"""Counts products that are stored under an earlier serial of their EPC, in a sample of the history table.

Reading the whole table would cost half a read unit for every 4 KB that it holds, so only its beginning is
read.  That is a fair sample of products: DynamoDB scans by the hash of the serial.
"""

from typing import TYPE_CHECKING, NamedTuple

from chalicelib.domain import events
from chalicelib.epcis import identifiers

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

#: How many pages of at most 1 MB are read: 128 read units each, eventually consistent.
MAX_PAGES = 4


class Sample(NamedTuple):
    """How many products were read, how many of them have an earlier serial, and whether these are all."""

    products: int
    earlier: int
    is_whole: bool


def sample(dynamodb: "DynamoDBClient", table: str) -> Sample:
    """Read the beginning of the history table.  Raises ClientError and BotoCoreError."""
    serials: set[str] = set()
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table, ProjectionExpression="#serial", ExpressionAttributeNames={"#serial": "serial"}
    )
    for number, page in enumerate(pages, start=1):
        # The table has keys that are no products, for what it says about itself.
        serials.update(serial for item in page["Items"] if events.is_serial(serial := item["serial"]["S"]))
        if number == MAX_PAGES and "LastEvaluatedKey" in page:
            return _counted(serials, is_whole=False)
    return _counted(serials, is_whole=True)


def _counted(serials: set[str], *, is_whole: bool) -> Sample:
    return Sample(len(serials), sum(map(identifiers.is_earlier_serial, serials)), is_whole)
