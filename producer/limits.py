"""Limits of PutRecords and how the producer keeps to them: read-ahead, requests in flight, retries, backoff.

They stand apart so that planning and simulation can use them without botocore.
"""

# Limits of a request (Kinesis API reference, PutRecords).
MAX_RECORDS = 500
MAX_REQUEST_BYTES = 10 * 1024 * 1024
OLDER_MAX_REQUEST_BYTES = 5 * 1024 * 1024  # what Kinesis took until 2025, and emulators still do

#: Entries read ahead in search of a request's worth of different partition keys.
READ_AHEAD = 10 * MAX_RECORDS

#: The same in bytes, whatever the size of the entries: bounds memory.
READ_AHEAD_BYTES = 4 * MAX_REQUEST_BYTES

#: Requests under way at once.
IN_FLIGHT = 4

#: Attempts for an entry: about a minute and a half of backoff in all.  In a burst of 50,000 on shards at
#: their limit, one has been seen refused twelve times running.
ATTEMPTS = 40
BACKOFF_S, BACKOFF_LIMIT_S = 0.1, 5.0
