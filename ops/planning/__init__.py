"""Commands that size and price a load before it is paid for."""
