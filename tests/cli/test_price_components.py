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
        ("- {component_id: c,\n component_id: d}", "line 2: component_id is given twice"),
        ("- {component_id: c, kind: 3}", "component 1: use one of per-record"),
        ("- {component_id: c, kind: true}", "component 1: use one of per-record"),
        ("- {component_id: 12, kind: flat}", "component 1"),
        ("- {component_id: c, items: [yes]}", "line 1: this is read as true or false"),
        *(
            (f"- component_id: c\n  {number}", "line 2: this is read as a number")
            for number in (
                "amount_micro_yuan: 0120000",
                "amount_micro_yuan: 1:30",
                "tiers: [{from_records: 010000}]",
            )
        ),
        *(
            (f"- component_id: c\n  {number}", "component 1: " + told)
            for number, told in (
                ("amount_micro_yuan: '0120'", "amount_micro_yuan: write a number"),
                ("amountMicroYuan: 1e3", "amountMicroYuan: write a number"),
                ("records: true", "records: write a number"),
                ("records: 3.0", "records: write a number"),
                ("tiers: [{from_records: '1_000'}]", "from_records: write a number"),
            )
        ),
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
