"""Charts draw what they are given, within their frame, and say all of it in words too."""

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from gateway.pages.charts import (
    HEIGHT,
    WIDTH,
    Measure,
    Series,
    bar_chart,
    line_chart,
    measures,
)

VALUES: Final = st.integers(0, 10**15)
DRAWN: Final = st.integers(1, 40).flatmap(
    lambda places: st.lists(st.lists(VALUES, min_size=places, max_size=places), max_size=5)
)


def charted(series: list[list[int]]) -> tuple[list[str], list[Series]]:
    """Return labels and series of a chart of these values."""
    places = len(series[0]) if series else 0
    names = [Series(f"s{number}", values) for number, values in enumerate(series)]
    return [f"d{place}" for place in range(places)], names


@given(DRAWN)
def test_bars_lie_in_the_frame_upon_each_other_and_are_as_high_as_what_they_measure(
    values: list[list[int]],
) -> None:
    labels, series = charted(values)
    chart = bar_chart("c", "t", "d", "day", labels, series, str)
    for bar in chart.bars:
        assert bar.x >= 0
        assert bar.y >= 0
        assert bar.x + bar.width <= WIDTH
        assert bar.y + bar.height <= HEIGHT
        assert bar.width > 0
        assert bar.height > 0
    assert len(chart.bars) == sum(value > 0 for each in values for value in each)
    of_first = [bar for bar in chart.bars if bar.series == 0]
    present = [value for value in values[0] if value] if values else []
    for (one, high), (other, low) in zip(
        zip(of_first, present, strict=True),
        zip(of_first[1:], present[1:], strict=True),
        strict=False,
    ):
        if high >= low:
            assert one.height >= other.height


def test_a_month_that_has_just_begun_is_a_slim_bar_in_its_place() -> None:
    (bar,) = bar_chart("c", "t", "d", "day", ["12-01"], [Series("s", [3])], str).bars
    assert bar.width < WIDTH // 10
    assert bar.x + bar.width // 2 == WIDTH // 2


@given(DRAWN)
def test_lines_pass_through_every_place_within_the_frame(values: list[list[int]]) -> None:
    labels, series = charted(values)
    chart = line_chart("c", "t", "d", "day", labels, series, str)
    assert len(chart.lines) == len(values)
    for line in chart.lines:
        points = [tuple(map(int, point.split(","))) for point in line.points.split()]
        assert len(points) == len(labels)
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
        assert [x for x, _ in points] == sorted(x for x, _ in points)


@given(DRAWN)
def test_the_table_behind_tells_every_value(values: list[list[int]]) -> None:
    labels, series = charted(values)
    chart = bar_chart("c", "t", "d", "day", labels, series, str)
    assert list(chart.columns) == ["day", *(each.name for each in series)]
    assert chart.rows == [
        [label, *(str(each[place]) for each in values)] for place, label in enumerate(labels)
    ]
    assert chart.empty == (not labels)
    assert sum(map(bool, chart.places)) <= 6
    assert all(told in {"", label} for told, label in zip(chart.places, labels, strict=True))


@given(st.lists(VALUES))
def test_the_longest_bar_of_a_table_is_whole_and_none_is_longer(values: list[int]) -> None:
    rows = measures("t", "w", "h", [Measure(str(value), value, "") for value in values]).rows
    assert all(0 <= row.part <= 1_000 for row in rows)
    assert all((row.part == 0) == (row.value == 0) for row in rows)
    if any(values):
        assert max(row.part for row in rows) == 1_000
    by_value = sorted(rows, key=lambda row: row.value)
    assert [row.part for row in by_value] == sorted(row.part for row in rows)


def test_what_is_below_nothing_has_no_bar() -> None:
    (credit, fee) = measures("t", "w", "h", [Measure("a", -5, "-5"), Measure("b", 5, "5")]).rows
    assert (credit.part, fee.part) == (0, 1_000)
