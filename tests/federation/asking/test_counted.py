"""For which regions a use of a consent is counted, on both stores."""

from sqlalchemy import Engine

from gateway.federation.asking.counted import RegionsCounted

NORTH, SOUTH = "https://north.invalid", "https://south.invalid"


def test_a_use_is_counted_for_the_regions_of_the_decision_that_charged_it(
    records_engine: Engine,
) -> None:
    counted = RegionsCounted(records_engine)
    counted.keep("alpha", "d-1", [SOUTH, NORTH])
    counted.keep("alpha", "d-2", [SOUTH])
    counted.keep("alpha", "d-3", [])
    assert counted.of("alpha", "d-1") == {NORTH, SOUTH}
    assert counted.of("alpha", "d-2") == {SOUTH}
    assert counted.of("alpha", "d-3") == frozenset()


def test_where_nothing_was_kept_a_use_was_counted_for_no_region(records_engine: Engine) -> None:
    counted = RegionsCounted(records_engine)
    counted.keep("alpha", "d-1", [NORTH])
    assert counted.of("alpha", "d-2") == counted.of("beta", "d-1") == frozenset()
