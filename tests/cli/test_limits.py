"""``creditgate limits`` against one real gateway: set, told to who is too fast, and lifted."""

from tests.cli.commands import Served

ADMINISTRATOR, ALPHA, FIRM = "administrator", "alpha-client", "alpha-credit"
WHY = ("--reason", "a test")
QUERY = ("query", "91000000DEM000011A", "--purpose", "credit-approval")


def test_a_limit_holds_who_is_too_fast_until_it_is_retired(served: Served) -> None:
    created = ("limits", "create", "slow", "--count", "1", "--period", "3600", "--burst", "2")
    made = served.answer(ADMINISTRATOR, *created, "--operator", FIRM, *WHY)["limit"]
    assert (made["operator_id"], made["count"], made["burst"]) == (FIRM, "1", "2")
    for _ in range(2):
        assert served.answer(ALPHA, *QUERY)["receipt"]
    assert served.refusal(ALPHA, *QUERY) == "RATE_EXCEEDED"
    (listed,) = served.answer(ADMINISTRATOR, "limits", "list", "--operator", FIRM)["limits"]
    assert listed["limit_id"] == "slow"
    shown = served.run(ADMINISTRATOR, "limits", "list").out
    assert "1 in 3600 s" in shown
    served.answer(ADMINISTRATOR, "limits", "retire", "slow", *WHY)
    assert served.answer(ALPHA, *QUERY)["receipt"]
    assert not served.answer(ADMINISTRATOR, "limits", "list").get("limits")
    (retired,) = served.answer(ADMINISTRATOR, "limits", "list", "--retired")["limits"]
    assert retired["retire_time"]
