"""What is printed is exact: money, times, canonical content."""

from decimal import Decimal

import pytest
import rfc8785
import typer
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from creditgate.scopes import known_scopes
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.cli import terms
from gateway.cli.content import canonical_json
from gateway.cli.output import utc, yuan

_CONTENT = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True),
    st.text(st.characters(codec="utf-8"), max_size=30)
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.booleans(),
    max_size=6,
)


@given(st.integers(-(2**63), 2**63 - 1))
def test_yuan_show_every_micro_yuan(micro_yuan: int) -> None:
    shown = yuan(micro_yuan)
    assert Decimal(shown) * 1_000_000 == micro_yuan
    assert len(shown.partition(".")[2]) == 6


@given(_CONTENT)
def test_content_is_written_as_rfc_8785_says(content: dict[str, str | int | bool]) -> None:
    assert canonical_json(content) == rfc8785.dumps(content)


def test_times_are_shown_in_utc() -> None:
    assert utc(Timestamp(seconds=1_767_225_600)) == "2026-01-01T00:00:00Z"
    assert utc(Timestamp()) == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-01", 1_767_225_600),
        ("2026-01-01T08:00:00+08:00", 1_767_225_600),
        ("2026-01-01T00:00:00Z", 1_767_225_600),
    ],
)
def test_instants_are_read_in_their_zone(text: str, seconds: int) -> None:
    assert terms.instant(text) == seconds


@pytest.mark.parametrize(
    "text", ["2026-01-01T00:00:00", "yesterday", "2026-02-30", "2026-01-01T00:00:00.5Z"]
)
def test_instants_that_could_be_misread_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        terms.instant(text)


@pytest.mark.parametrize("value", [value for value in Purpose.values() if value])
def test_every_purpose_is_read_as_it_is_shown_and_completed(value: Purpose.ValueType) -> None:
    shown = terms.show_purpose(value)
    assert terms.purpose(shown) == value
    assert terms.purpose(Purpose.Name(value)) == value
    assert shown in terms.purposes(shown[:3])


@pytest.mark.parametrize("text", ["unspecified", "PURPOSE_UNSPECIFIED", "", "marketing"])
def test_no_purpose_is_taken_that_no_licence_could_cover(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="supplier-check"):
        terms.purpose(text)


def test_every_scope_is_completed_and_no_other_is_read() -> None:
    assert set(terms.scopes("")) == known_scopes()
    with pytest.raises(typer.BadParameter):
        terms.scope("credit.records:write")


@pytest.mark.parametrize("text", ["basic", "basic=0.05", "basic=-1", "=1", "basic=1 000"])
def test_prices_are_whole_micro_yuan(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="MICROYUAN"):
        terms.price(text)
