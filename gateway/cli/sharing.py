"""``creditgate sharing``: how fees are shared."""

from collections.abc import Iterable
from typing import Annotated, Final

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import settlement_service_pb2 as pb
from gateway.cli import calls, terms
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import PROFILE, AsJson, Begins, Profile, Why
from gateway.cli.output import Sheet, show, utc

app = typer.Typer(help="Sharing rules.", no_args_is_help=True)

_MOST = 10_000
_DIVISION: Final = "SOURCE_DIVISION_"


def _division(text: str) -> pb.SourceDivision.ValueType:
    return pb.SourceDivision.Value(terms.named(text, _DIVISION, pb.SourceDivision.keys()))


def _divisions(incomplete: str) -> list[str]:
    return terms.starting(incomplete, terms.listed(_DIVISION, pb.SourceDivision.keys()))


@app.command("create", cls=ReportedCommand)
def create(
    rule_id: Annotated[str, typer.Argument(metavar="RULE", help="Id of the rule.")],
    source: Annotated[int, typer.Option("--source", min=0, max=_MOST, help="Source's part.")],
    region: Annotated[int, typer.Option("--region", min=0, max=_MOST, help="Region's part.")],
    platform: Annotated[int, typer.Option("--platform", min=0, max=_MOST, help="Platform's.")],
    begins: Begins,
    reason: Why,
    operator: Annotated[
        int, typer.Option("--operator", min=0, max=_MOST, help="Part given back to the operator.")
    ] = 0,
    rebate_classes: Annotated[
        list[str] | None,
        typer.Option(
            "--rebate-class",
            metavar="CLASS",
            help="Operator class given back to; repeat for more. All, if left out.",
        ),
    ] = None,
    coming_operators: Annotated[
        list[str] | None,
        typer.Option(
            "--coming-operators", metavar="CLASS", help="A class that no operator has yet."
        ),
    ] = None,
    division: Annotated[
        pb.SourceDivision.ValueType | None,
        typer.Option(
            "--division",
            parser=_division,
            autocompletion=_divisions,
            metavar="DIVISION",
            help="How the sources' part is divided: own (if left out), by-use, by-contribution.",
        ),
    ] = None,
    completeness: Annotated[
        int,
        typer.Option(
            "--completeness",
            min=0,
            max=_MOST,
            help="By contribution: part of an answer's worth that it has only when complete.",
        ),
    ] = 0,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Put a sharing rule into force; parts are per ten thousand and sum to 10,000."""
    rule = pb.SharingRule(
        rule_id=rule_id,
        effective_from=Timestamp(seconds=begins),
        source_basis_points=source,
        region_basis_points=region,
        platform_basis_points=platform,
        operator_basis_points=operator,
        rebate_operator_classes=rebate_classes or [],
        source_division=division or pb.SOURCE_DIVISION_OWN,
        completeness_basis_points=completeness,
    )
    answer = calls.ask(
        profile,
        pb.CreateSharingRuleRequest(
            rule=rule, reason=reason, coming_operator_classes=coming_operators
        ),
        pb.CreateSharingRuleResponse,
    )
    show(answer, _sheet([answer.rule]), as_json=as_json)


@app.command("list", cls=ReportedCommand)
def list_(profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """List all sharing rules."""
    answer = calls.every_page(profile, pb.ListSharingRulesRequest(), pb.ListSharingRulesResponse)
    show(answer, _sheet(answer.rules), as_json=as_json)


def _sheet(rules: Iterable[pb.SharingRule]) -> Sheet:
    parts = ("source", "region", "platform", "operator")
    return Sheet(
        "Sharing rules, parts of 10,000",
        ("rule", "from", *parts, "given back to", "sources' part", "completeness"),
        [
            (
                rule.rule_id,
                utc(rule.effective_from),
                str(rule.source_basis_points),
                str(rule.region_basis_points),
                str(rule.platform_basis_points),
                str(rule.operator_basis_points),
                _given_back_to(rule),
                terms.shown(pb.SourceDivision.Name(rule.source_division), _DIVISION),
                str(rule.completeness_basis_points),
            )
            for rule in rules
        ],
        frozenset({*parts, "completeness"}),
    )


def _given_back_to(rule: pb.SharingRule) -> str:
    if not rule.operator_basis_points:
        return ""
    return ", ".join(rule.rebate_operator_classes) or "all"
