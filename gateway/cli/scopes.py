"""``creditgate scopes``: which scopes there are, who holds them, and on what."""

from collections.abc import Iterable
from typing import Annotated

import typer

from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1 import scope_service_pb2 as scopes_pb
from gateway.cli import calls, four_eyes, terms
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import (
    INT32,
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

app = typer.Typer(help="OAuth scopes: defined, granted, and who approves.", no_args_is_help=True)

_Name = Annotated[
    str,
    typer.Argument(metavar="SCOPE", parser=terms.scope, help="Name of the scope."),
]
_GrantId = Annotated[str, typer.Argument(metavar="GRANT", help="Id of the grant.")]
_Scopes = Annotated[
    list[str],
    typer.Option(
        "--scope",
        parser=terms.scope,
        autocompletion=terms.scopes,
        metavar="SCOPE",
        help="Scope, such as credit.records:read; repeat for more.",
    ),
]


@app.command("define", cls=ReportedCommand)
def define(
    name: _Name,
    scopes: _Scopes,
    title_zh: Annotated[str, typer.Option("--title-zh", help="What it is called, in Chinese.")],
    title_en: Annotated[str, typer.Option("--title-en", help="What it is called, in English.")],
    reason: Why,
    description_zh: Annotated[
        str, typer.Option("--description-zh", help="What it lets do, in Chinese.")
    ] = "",
    description_en: Annotated[
        str, typer.Option("--description-en", help="What it lets do, in English.")
    ] = "",
    items: Items = None,
    purposes: Purposes = None,
    regions: Regions = None,
    longest_days: Annotated[
        int,
        typer.Option(
            "--longest-days",
            min=0,
            max=INT32,
            help="Most days a grant of it may stand; 0 means no limit.",
        ),
    ] = 0,
    etag: Annotated[
        str,
        typer.Option(
            "--etag", help="Changes the scope as `scopes show` gave it with this etag; whole."
        ),
    ] = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Define a scope that stands for scopes of methods, within bounds; or change one by --etag."""
    definition = scopes_pb.ScopeDefinition(
        name=name,
        scopes=scopes,
        items=items,
        purposes=purposes,
        regions=regions,
        longest_validity_days=longest_days,
        title_zh=title_zh,
        title_en=title_en,
        description_zh=description_zh,
        description_en=description_en,
        etag=etag,
    )
    answer: scopes_pb.CreateScopeDefinitionResponse | scopes_pb.UpdateScopeDefinitionResponse
    if etag:
        answer = calls.ask(
            profile,
            scopes_pb.UpdateScopeDefinitionRequest(definition=definition, reason=reason),
            scopes_pb.UpdateScopeDefinitionResponse,
        )
    else:
        answer = calls.ask(
            profile,
            scopes_pb.CreateScopeDefinitionRequest(definition=definition, reason=reason),
            scopes_pb.CreateScopeDefinitionResponse,
        )
    show(answer, _whole(answer.definition), as_json=as_json)


@app.command("list", cls=ReportedCommand)
def list_(
    grantee: Annotated[
        str,
        typer.Argument(metavar="[GRANTEE]", help="What is granted to this operator or client."),
    ] = "",
    defined: Annotated[
        bool, typer.Option("--defined", help="Without the scopes that methods need.")
    ] = False,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List all scopes; or, of a party, what is granted to it, withdrawn grants included."""
    if grantee:
        granted = calls.ask(
            profile, pb.ListScopeGrantsRequest(grantee=grantee), pb.ListScopeGrantsResponse
        )
        show(granted, _grants(granted.grants), as_json=as_json)
        return
    answer = calls.every_page(
        profile,
        scopes_pb.ListScopeDefinitionsRequest(defined_only=defined, page_size=200),
        scopes_pb.ListScopeDefinitionsResponse,
    )
    show(answer, _definitions(answer.definitions), as_json=as_json)


@app.command("show", cls=ReportedCommand)
def show_(name: _Name, profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """Show one scope, whole."""
    answer = calls.ask(
        profile,
        scopes_pb.GetScopeDefinitionRequest(name=name),
        scopes_pb.GetScopeDefinitionResponse,
    )
    show(answer, _whole(answer.definition), as_json=as_json)


@app.command("retire", cls=ReportedCommand)
def retire(name: _Name, reason: Why, profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """End a defined scope for good; its grants give nothing any more."""
    answer = calls.ask(
        profile,
        scopes_pb.RetireScopeDefinitionRequest(name=name, reason=reason),
        scopes_pb.RetireScopeDefinitionResponse,
    )
    show(answer, _definitions([answer.definition]), as_json=as_json)


@app.command("grant", cls=ReportedCommand)
def grant(
    grantee: Annotated[
        str,
        typer.Argument(metavar="GRANTEE", help="An operator; for other roles, a client."),
    ],
    scopes: _Scopes,
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
    show(answer, _grants(answer.grants), as_json=as_json)


@app.command("narrow", cls=ReportedCommand)
def narrow(
    grant_id: _GrantId,
    reason: Why,
    items: Items = None,
    purposes: Purposes = None,
    regions: Regions = None,
    until: Until = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Leave a grant less: only these items, purposes or regions, or an earlier end."""
    request = scopes_pb.NarrowScopeGrantRequest(
        grant_id=grant_id, items=items, purposes=purposes, regions=regions, reason=reason
    )
    if until is not None:
        request.end_time.seconds = until
    answer = calls.ask(profile, request, scopes_pb.NarrowScopeGrantResponse)
    show(answer, _grants([answer.grant]), as_json=as_json)


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
    show(answer, _grants(answer.grants), as_json=as_json)


for command in (four_eyes.proposals, four_eyes.approve, four_eyes.reject, four_eyes.policy):
    app.command(cls=ReportedCommand)(command)


def _definitions(definitions: Iterable[scopes_pb.ScopeDefinition]) -> Sheet:
    return Sheet(
        "Scopes",
        ("scope", "title", "stands for", "state", "etag"),
        [
            (
                found.name,
                found.title_en or found.title_zh,
                "a method's own" if found.built_in else several(found.scopes),
                terms.show_definition_state(found.state),
                found.etag,
            )
            for found in definitions
        ],
    )


def _whole(found: scopes_pb.ScopeDefinition) -> Sheet:
    days = found.longest_validity_days
    return Sheet(
        "Scope",
        (
            "scope",
            "title",
            "description",
            "stands for",
            "items",
            "purposes",
            "regions",
            "longest validity",
            "state",
            "etag",
            "since",
        ),
        [
            (
                found.name,
                " / ".join(filter(None, (found.title_zh, found.title_en))),
                "\n".join(filter(None, (found.description_zh, found.description_en))),
                several(found.scopes),
                several(found.items, "any"),
                several(map(terms.show_purpose, found.purposes), "any"),
                several(found.regions, "any"),
                f"{days} days" if days else "any",
                terms.show_definition_state(found.state),
                found.etag,
                utc(found.update_time),
            )
        ],
        blocks=True,
    )


def _grants(grants: Iterable[pb.ScopeGrant]) -> Sheet:
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
