"""``creditgate scope``: which methods a party may call, and on what."""

from collections.abc import Iterable
from typing import Annotated

import typer

from creditgate.v1 import operator_service_pb2 as pb
from gateway.cli import calls, terms
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import (
    PROFILE,
    AsJson,
    From,
    Items,
    Profile,
    Purposes,
    Regions,
    Until,
    Why,
)
from gateway.cli.output import Sheet, period, several, show, utc
from gateway.clock import SystemClock

app = typer.Typer(help="Scopes granted.", no_args_is_help=True)

_Grantee = Annotated[
    str,
    typer.Argument(metavar="GRANTEE", help="An operator; for other roles, a client."),
]


@app.command("grant", cls=ReportedCommand)
def grant(
    grantee: _Grantee,
    scopes: Annotated[
        list[str],
        typer.Option(
            "--scope",
            parser=terms.scope,
            autocompletion=terms.scopes,
            metavar="SCOPE",
            help="Scope, such as credit.records:read; repeat for more.",
        ),
    ],
    reason: Why,
    items: Items = None,
    purposes: Purposes = None,
    regions: Regions = None,
    from_: From = None,
    until: Until = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Grant scopes; items, purposes and regions left out mean all of the licence's."""
    begins = SystemClock().now() if from_ is None else from_
    grants = [
        pb.ScopeGrant(
            grantee=grantee,
            scope=scope,
            items=items,
            purposes=purposes,
            regions=regions,
            validity=terms.interval(begins, until),
        )
        for scope in scopes
    ]
    answer = calls.ask(
        profile, pb.GrantScopesRequest(grants=grants, reason=reason), pb.GrantScopesResponse
    )
    show(answer, _sheet(answer.grants), as_json=as_json)


@app.command("list", cls=ReportedCommand)
def list_(grantee: _Grantee, profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """List what is granted to a party, withdrawn grants included."""
    answer = calls.ask(
        profile, pb.ListScopeGrantsRequest(grantee=grantee), pb.ListScopeGrantsResponse
    )
    show(answer, _sheet(answer.grants), as_json=as_json)


@app.command("withdraw", cls=ReportedCommand)
def withdraw(
    grant_ids: Annotated[list[str], typer.Argument(metavar="GRANT...", help="Ids of the grants.")],
    reason: Why,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Withdraw grants at once, all or none."""
    answer = calls.ask(
        profile,
        pb.WithdrawScopesRequest(grant_ids=grant_ids, reason=reason),
        pb.WithdrawScopesResponse,
    )
    show(answer, _sheet(answer.grants), as_json=as_json)


def _sheet(grants: Iterable[pb.ScopeGrant]) -> Sheet:
    whole = "as licensed"
    return Sheet(
        "Scope grants",
        ("grant", "grantee", "scope", "items", "purposes", "regions", "validity", "withdrawn"),
        [
            (
                grant.grant_id,
                grant.grantee,
                grant.scope,
                several(grant.items, whole),
                several(map(terms.show_purpose, grant.purposes), whole),
                several(grant.regions, whole),
                period(grant.validity),
                utc(grant.withdraw_time),
            )
            for grant in grants
        ],
    )
