"""What every test of the API starts from."""

import pytest
from chalice.test import Client


@pytest.fixture
def client(listening: Client) -> Client:
    """The test client, into which events can be put as well."""
    return listening
