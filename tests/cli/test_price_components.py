"""Components of price plans as a file: read with short names, faults told by their place."""

from pathlib import Path

import pytest
import typer

from creditgate.v1 import settlement_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.cli.price_components import read_components


def test_components_are_read_with_the_short_names_of_kinds_and_purposes(tmp_path: Path) -> None:
    path = tmp_path / "components.yaml"
    path.write_text("- {component_id: c, kind: FREE_TIER, purposes: [bidding], records: 3}\n")
    assert read_components(path) == [
        pb.PriceComponent(
            component_id="c",
            kind=pb.PRICE_COMPONENT_KIND_FREE_TIER,
            purposes=[Purpose.PURPOSE_BIDDING],
            records=3,
        )
    ]
    with pytest.raises(typer.BadParameter, match="cannot be read"):
        read_components(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("component_id: c", "write a list"),
        ("- flat", "component 1: write names and values"),
        ("- {component_id: c, kind: flat-rate}", "component 1: use one of per-record"),
        ("- {component_id: c, kind: flat, amount: 1}", "component 1"),
        ("- {component_id: c, purposes: [fun]}", "component 1: use one of credit-approval"),
        ("- [", "is no YAML"),
    ],
)
def test_a_faulty_file_of_components_is_told_by_its_place(
    tmp_path: Path, written: str, told: str
) -> None:
    path = tmp_path / "components.yaml"
    path.write_text(written, encoding="utf-8")
    with pytest.raises(typer.BadParameter) as refusal:
        read_components(path)
    assert told in refusal.value.message
