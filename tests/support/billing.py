"""What the tests of plans and bills reckon with, worked out by hand."""

from ops.planning.prices import PriceList

US_EAST_1 = PriceList("us-east-1")
SECONDS = 2_628_000  # 730 hours

#: A poll, the start of a sandbox, and a batch of 500 at 1,024 MB.
FIRST_S = 1 + 0.8 + (0.0025 + 500 * 0.00008) * 1769 / 1024 + 3 * 0.010
