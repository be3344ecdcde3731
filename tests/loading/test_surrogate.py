"""A subject without credit code gets a stand-in, the same each time, that no code can be."""

from hypothesis import given
from hypothesis import strategies as st

from creditgate import uscc
from sdk.loading.surrogate import surrogate_code

_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


@given(st.lists(_TEXT, min_size=1, max_size=3))
def test_a_stand_in_has_a_valid_check_character_and_an_unassigned_division(
    identity: list[str],
) -> None:
    code = surrogate_code(identity)
    assert uscc.is_valid(code)
    assert code.startswith("Y1000000")


def test_the_stand_in_of_a_firm_never_changes() -> None:
    assert surrogate_code(["Invented Builders Ltd.", "China"]) == "Y1000000EWQG5BYAX9"


def test_width_case_and_blanks_make_no_other_firm() -> None:
    assert surrogate_code(["Ｉnvented  BUILDERS\nLtd. ", "china"]) == surrogate_code(
        ["Invented Builders Ltd.", "China"]
    )


def test_country_and_name_make_another_firm() -> None:
    codes = {
        surrogate_code(identity)
        for identity in (["Invented", "China"], ["Invented", "Peru"], ["InventedC", "hina"])
    }
    assert len(codes) == 3


def test_ten_thousand_firms_have_ten_thousand_codes() -> None:
    assert (
        len({surrogate_code([f"Invented {number}", "China"]) for number in range(10_000)}) == 10_000
    )
