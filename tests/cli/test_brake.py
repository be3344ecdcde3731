"""``creditgate brake`` against one real gateway: engaged, listed, released."""

import pytest

from tests.cli.commands import Served

ADMINISTRATOR, ALPHA, FIRM = "administrator", "alpha-client", "alpha-credit"
WHY = ("--reason", "a test")
QUERY = ("query", "91000000DEM000011A", "--purpose", "credit-approval")


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (("--everything",), {"everything": True}),
        (("--operator", FIRM), {"operator_id": FIRM}),
        (("--item", "penalty.administrative"), {"item": "penalty.administrative"}),
    ],
)
def test_a_brake_stops_a_query_until_it_is_released(
    served: Served, option: tuple[str, ...], told: dict[str, object]
) -> None:
    made = served.answer(ADMINISTRATOR, "brake", "engage", *option, *WHY)["brake"]
    assert served.refusal(ALPHA, *QUERY) == "EMERGENCY_BRAKE"
    (listed,) = served.answer(ADMINISTRATOR, "brake", "list")["brakes"]
    assert (listed["reach"], listed["reason"]) == (told, WHY[1])
    assert "administrator" in served.run(ADMINISTRATOR, "brake", "list").out
    served.answer(ADMINISTRATOR, "brake", "release", made["brake_id"], *WHY)
    assert served.answer(ALPHA, *QUERY)["receipt"]
    assert not served.answer(ADMINISTRATOR, "brake", "list").get("brakes")
    released = served.answer(ADMINISTRATOR, "brake", "list", "--released")["brakes"]
    assert released[-1]["release_reason"] == WHY[1]


def test_a_brake_says_what_to_stop(served: Served) -> None:
    for option in ((), ("--everything", "--operator", FIRM)):
        done = served.run(ADMINISTRATOR, "brake", "engage", *option, *WHY)
        assert done.status
        assert "one of them" in done.told
    assert not served.answer(ADMINISTRATOR, "brake", "list").get("brakes")
