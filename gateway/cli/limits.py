"""``creditgate limits``: how fast operators may be served (限流)."""

from collections.abc import Iterable
from typing import Annotated, Final

import typer

from creditgate.v1 import limit_service_pb2 as pb
from creditgate.v1.limit_service_pb2 import LimitPer, LimitUnit
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.cli import calls, terms
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import INT32, INT64, PROFILE, AsJson, Profile, Why
from gateway.cli.output import Sheet, show, utc

_PER: Final = "LIMIT_PER_"
_UNIT: Final = "LIMIT_UNIT_"

app = typer.Typer(help="Limits of rates (限流): burst and sustained.", no_args_is_help=True)

_LimitId = Annotated[str, typer.Argument(metavar="LIMIT", help="Id of the limit.")]


def _per(text: str) -> LimitPer.ValueType:
    return LimitPer.Value(terms.named(text, _PER, LimitPer.keys()))


def _unit(text: str) -> LimitUnit.ValueType:
    return LimitUnit.Value(terms.named(text, _UNIT, LimitUnit.keys()))


@app.command("create", cls=ReportedCommand)
def create(
    limit_id: _LimitId,
    reason: Why,
    count: Annotated[
        int, typer.Option("--count", min=0, max=INT64, help="Units in each period, sustained.")
    ],
    burst: Annotated[int, typer.Option("--burst", min=0, max=INT64, help="Most units at once.")],
    period: Annotated[
        int,
        typer.Option("--period", min=0, max=INT32, metavar="SECONDS", help="Length of the period."),
    ] = 1,
    per: Annotated[
        LimitPer.ValueType | None,
        typer.Option(
            "--per",
            parser=_per,
            metavar="PER",
            help="What has a count of its own: operator, client, item, purpose or subject.",
            show_default="operator",
        ),
    ] = None,
    unit: Annotated[
        LimitUnit.ValueType | None,
        typer.Option(
            "--unit",
            parser=_unit,
            metavar="UNIT",
            help="What is counted: lookups (subjects asked about) or records served.",
            show_default="lookups",
        ),
    ] = None,
    operator: Annotated[
        str, typer.Option("--operator", metavar="OPERATOR", help="Only this firm; else each.")
    ] = "",
    client: Annotated[
        str, typer.Option("--client", metavar="CLIENT", help="Only this client (--per client).")
    ] = "",
    item: Annotated[
        str, typer.Option("--item", metavar="CODE", help="The item (--per item).")
    ] = "",
    purpose: Annotated[
        Purpose.ValueType | None,
        typer.Option(
            "--purpose",
            parser=terms.purpose,
            autocompletion=terms.purposes,
            metavar="PURPOSE",
            help="Only this purpose (--per purpose).",
        ),
    ] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Put a limit into force on every process within a second."""
    limit = pb.Limit(
        limit_id=limit_id,
        operator_id=operator,
        per=per or LimitPer.LIMIT_PER_OPERATOR,
        client_id=client,
        item=item,
        purpose=purpose or Purpose.PURPOSE_UNSPECIFIED,
        unit=unit or LimitUnit.LIMIT_UNIT_LOOKUPS,
        count=count,
        period_seconds=period,
        burst=burst,
    )
    answer = calls.ask(
        profile, pb.CreateLimitRequest(limit=limit, reason=reason), pb.CreateLimitResponse
    )
    show(answer, _sheet([answer.limit]), as_json=as_json)


@app.command("retire", cls=ReportedCommand)
def retire(
    limit_id: _LimitId,
    reason: Why,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """End a limit for good; under a guarded policy a second person approves it."""
    answer = calls.ask(
        profile,
        pb.RetireLimitRequest(limit_id=limit_id, reason=reason),
        pb.RetireLimitResponse,
    )
    if answer.proposal_id:
        waiting = Sheet("Proposals", ("waits for a second person",), [(answer.proposal_id,)])
        show(answer, waiting, as_json=as_json)
        return
    show(answer, _sheet([answer.limit]), as_json=as_json)


@app.command("list", cls=ReportedCommand)
def list_(
    operator: Annotated[
        str, typer.Option("--operator", metavar="OPERATOR", help="Only those that reach a firm.")
    ] = "",
    retired: Annotated[bool, typer.Option("--retired", help="Retired ones as well.")] = False,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List the limits in force."""
    answer = calls.every_page(
        profile,
        pb.ListLimitsRequest(operator_id=operator, show_retired=retired, page_size=200),
        pb.ListLimitsResponse,
    )
    show(answer, _sheet(answer.limits), as_json=as_json)


def _sheet(limits: Iterable[pb.Limit]) -> Sheet:
    return Sheet(
        "Limits of rates",
        ("limit", "operator", "counts", "of each", "sustained", "burst", "since", "retired"),
        [
            (
                limit.limit_id,
                limit.operator_id or "each",
                terms.shown(LimitUnit.Name(limit.unit), _UNIT),
                _counted(limit),
                f"{limit.count} in {limit.period_seconds} s",
                str(limit.burst),
                utc(limit.create_time),
                utc(limit.retire_time) if limit.HasField("retire_time") else "",
            )
            for limit in limits
        ],
    )


def _counted(limit: pb.Limit) -> str:
    purpose = terms.show_purpose(limit.purpose) if limit.purpose else ""
    only = limit.client_id or limit.item or purpose
    per = terms.shown(LimitPer.Name(limit.per), _PER)
    return f"{per} {only}" if only else per
