"""Metrics inside log lines: names that alarms can rely on, and values that CloudWatch takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.telemetry import metrics

CODES = st.dictionaries(
    st.text(max_size=12) | st.sampled_from([*metrics.KINDS, *metrics.REASONS]), st.integers(1, 99)
)


@given(types=CODES, reasons=CODES)
def test_whatever_is_sent_only_known_names_become_metrics(
    types: dict[str, int], reasons: dict[str, int]
) -> None:
    values = {**metrics.stored(types), **metrics.quarantined(reasons)}

    assert values.keys() <= metrics.NAMES
    assert values["Stored"] == sum(types.values())
    assert sum(v for k, v in values.items() if k.startswith("Stored") and k != "Stored") == values["Stored"]
    assert (
        sum(v for k, v in values.items() if k.startswith("Quar") and k != "Quarantined")
        == values["Quarantined"]
    )


@given(values=st.lists(st.floats(0, 1e9), min_size=1, max_size=600))
def test_a_sample_keeps_the_extremes_and_invents_nothing(values: list[float]) -> None:
    sample = metrics.sample(values)

    assert len(sample) == min(len(values), metrics.MAX_VALUES)
    assert (sample[0], sample[-1]) == (min(values), max(values))
    assert sample == sorted(sample)
    assert set(sample) <= set(values)


def test_a_line_carries_each_metric_with_unit_and_namespace() -> None:
    line = metrics.embedded({"Stored": 3, "ArrivalToStored": [1.5, 2.5]})

    directive = line["_aws"]["CloudWatchMetrics"][0]
    assert directive["Namespace"] == "Lifecycle"
    assert directive["Dimensions"] == [["service"]]
    assert {each["Name"]: each["Unit"] for each in directive["Metrics"]} == {
        "Stored": "Count",
        "ArrivalToStored": "Milliseconds",
    }
    assert (line["service"], line["Stored"], line["ArrivalToStored"]) == (
        "lifecycle-local",
        [3.0],
        [1.5, 2.5],
    )


def test_a_name_nobody_knows_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no such metric: Storred"):
        metrics.embedded({"Storred": 1})


def test_nothing_counted_adds_nothing_to_the_line() -> None:
    assert metrics.embedded({}) == {}
