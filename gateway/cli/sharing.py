"""``creditgate sharing``: how fees are shared."""

from collections.abc import Iterable
from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import settlement_service_pb2 as pb
from gateway.cli import calls
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import PROFILE, AsJson, Begins, Profile, Why
from gateway.cli.output import Sheet, show, utc

app = typer.Typer(help="Sharing rules.", no_args_is_help=True)

_MOST = 10_000


@app.command("create", cls=ReportedCommand)
def create(
    rule_id: Annotated[str, typer.Argument(metavar="RULE", help="Id of the rule.")],
    source: Annotated[int, typer.Option("--source", min=0, max=_MOST, help="Source's part.")],
    region: Annotated[int, typer.Option("--region", min=0, max=_MOST, help="Region's part.")],
    platform: Annotated[int, typer.Option("--platform", min=0, max=_MOST, help="Platform's.")],
    begins: Begins,
    reason: Why,
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
    )
    answer = calls.ask(
        profile,
        pb.CreateSharingRuleRequest(rule=rule, reason=reason),
        pb.CreateSharingRuleResponse,
    )
    show(answer, _sheet([answer.rule]), as_json=as_json)


@app.command("list", cls=ReportedCommand)
def list_(profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """List all sharing rules."""
    answer = calls.ask(profile, pb.ListSharingRulesRequest(), pb.ListSharingRulesResponse)
    show(answer, _sheet(answer.rules), as_json=as_json)


def _sheet(rules: Iterable[pb.SharingRule]) -> Sheet:
    parts = ("source", "region", "platform")
    return Sheet(
        "Sharing rules, parts of 10,000",
        ("rule", "from", *parts),
        [
            (
                rule.rule_id,
                utc(rule.effective_from),
                str(rule.source_basis_points),
                str(rule.region_basis_points),
                str(rule.platform_basis_points),
            )
            for rule in rules
        ],
        frozenset(parts),
    )
