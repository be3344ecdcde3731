"""Components of price plans as a YAML file, and as people read them.

    - component_id: volume
      kind: graduated
      purposes: [credit-approval]
      tiers:
        - {from_records: 0, unit_price_micro_yuan: 50000}
        - {from_records: 10000, unit_price_micro_yuan: 40000}

The names are those of the contract's PriceComponent.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import typer
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError

from creditgate.v1 import settlement_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.cli import terms
from gateway.cli.output import Sheet, yuan

_KIND: Final = "PRICE_COMPONENT_KIND_"
_MOST_BYTES: Final = 1 << 20
_NUMBERS: Final = {
    name
    for message in (pb.PriceComponent, pb.PriceTier)
    for field in message.DESCRIPTOR.fields
    if field.cpp_type == FieldDescriptor.CPPTYPE_INT64
    for name in (field.name, field.json_name)
}
"""Names of what is a number, for which protobuf would take text and fractions too."""


def read_components(path: Path) -> list[pb.PriceComponent]:
    """Return the components of a file. Raises typer.BadParameter that names the first fault."""
    import yaml

    from gateway.yaml_text import NotPlain, read_yaml

    try:
        with path.open("rb") as file:
            written = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}") from None
    if len(written) > _MOST_BYTES:
        raise typer.BadParameter(f"{path} has more than {_MOST_BYTES} bytes")
    try:
        read = read_yaml(written)
    except NotPlain as odd:
        raise typer.BadParameter(f"{path}: {odd}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise typer.BadParameter(f"{path} is no YAML") from None
    if not isinstance(read, list):
        raise typer.BadParameter(f"{path}: write a list of components")
    return [
        _component(f"{path}, component {number}", each)
        for number, each in enumerate(cast("list[object]", read), 1)
    ]


def _component(where: str, written: object) -> pb.PriceComponent:
    if not isinstance(written, Mapping):
        raise typer.BadParameter(f"{where}: write names and values")
    fields = dict(cast("Mapping[str, Any]", written))
    try:
        _require_numbers(fields)
        if "kind" in fields:
            fields["kind"] = terms.named(str(fields["kind"]), _KIND, pb.PriceComponentKind.keys())
        if isinstance(purposes := fields.get("purposes"), list):
            fields["purposes"] = [
                Purpose.Name(terms.purpose(str(each))) for each in cast("list[object]", purposes)
            ]
        return ParseDict(fields, pb.PriceComponent())
    except (ParseError, TypeError) as error:
        raise typer.BadParameter(f"{where}: {error}") from None
    except typer.BadParameter as error:
        raise typer.BadParameter(f"{where}: {error.message}") from None


def _require_numbers(fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        if name in _NUMBERS and type(value) is not int:
            raise typer.BadParameter(f"{name}: write a number as plain digits, without quotes")
        tiers = cast("list[object]", value) if isinstance(value, list) else []
        for tier in tiers:
            if isinstance(tier, Mapping):
                _require_numbers(cast("Mapping[str, Any]", tier))


def show_kind(kind: pb.PriceComponentKind.ValueType) -> str:
    """Show what a component does."""
    return terms.shown(pb.PriceComponentKind.Name(kind), _KIND)


def components_sheet(plan: pb.PricePlan) -> Sheet:
    """Return the components of a plan as a table."""
    return Sheet(
        f"Components of {plan.plan_id}",
        ("component", "kind", "of", "says"),
        [
            (each.component_id, show_kind(each.kind), _selected(each), _said(each))
            for each in plan.components
        ],
    )


def charges_sheet(bill: pb.TriedBill) -> Sheet:
    """Return the charges of a plan that was tried as a table."""
    return Sheet(
        f"{bill.operator_id} by the plan tried",
        ("component", "kind", "quantity", "yuan", "why"),
        [
            (
                each.component_id,
                show_kind(each.kind),
                str(each.quantity),
                yuan(each.fee_micro_yuan),
                each.explanation_en,
            )
            for each in bill.charges
        ],
        frozenset({"quantity", "yuan"}),
    )


def _selected(component: pb.PriceComponent) -> str:
    parts: Iterable[Iterable[str]] = (
        component.items,
        component.price_classes,
        map(terms.show_purpose, component.purposes),
        component.operator_classes,
    )
    return "; ".join(shown for part in parts if (shown := ", ".join(part))) or "all"


def _said(component: pb.PriceComponent) -> str:
    if component.tiers:
        return ", ".join(
            f"from {tier.from_records}: {yuan(tier.unit_price_micro_yuan)}"
            for tier in component.tiers
        )
    if component.records:
        return f"{component.records} records a month"
    if component.kind in {
        pb.PRICE_COMPONENT_KIND_PER_RECORD,
        pb.PRICE_COMPONENT_KIND_PER_SUBJECT,
    }:
        return f"{yuan(component.unit_price_micro_yuan)} yuan each"
    return f"{yuan(component.amount_micro_yuan)} yuan a month"
