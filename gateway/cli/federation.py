"""``creditgate federation``: other regions (地区) as this gateway knows them."""

from collections.abc import Iterable
from typing import Annotated, Final

import typer

from creditgate.v1 import region_service_pb2 as pb
from gateway.cli import calls, clearing
from gateway.cli.failures import CommandFailed, ReportedCommand
from gateway.cli.installed import require_home
from gateway.cli.options import PROFILE, AsJson, Config, Profile, Why
from gateway.cli.output import Sheet, print_json, show, utc

app = typer.Typer(
    help="The federation of regions: which stand, which may ask here.", no_args_is_help=True
)
app.add_typer(clearing.app, name="clearing")

_EntityId = Annotated[
    str, typer.Argument(metavar="ENTITY", help="Entity identifier of a region: its issuer's URL.")
]
_STANDING: Final = {
    pb.RegionStanding.REGION_STANDING_STANDS: "stands",
    pb.RegionStanding.REGION_STANDING_DOES_NOT_STAND: "does not stand",
    pb.RegionStanding.REGION_STANDING_UNKNOWN: "unknown: the anchor was not heard",
    pb.RegionStanding.REGION_STANDING_NO_FEDERATION: "this gateway is in no federation",
}


@app.command("admit", cls=ReportedCommand)
def admit(
    entity_id: _EntityId,
    operator: Annotated[
        str,
        typer.Option(
            "--operator",
            metavar="OPERATOR",
            help='Operator it is to ask as: one of class "region", with licence and scopes.',
        ),
    ],
    reason: Why,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Let a region ask here, as an operator whose licence, grants and prices bound it."""
    answer = calls.ask(
        profile,
        pb.AdmitRegionRequest(entity_id=entity_id, operator_id=operator, reason=reason),
        pb.AdmitRegionResponse,
    )
    show(answer, _sheet([answer.region]), as_json=as_json)


@app.command("dismiss", cls=ReportedCommand)
def dismiss(
    entity_id: _EntityId, reason: Why, profile: Profile = PROFILE, as_json: AsJson = False
) -> None:
    """End a region's admission: its open calls end, and it cannot ask here any more."""
    answer = calls.ask(
        profile,
        pb.DismissRegionRequest(entity_id=entity_id, reason=reason),
        pb.DismissRegionResponse,
    )
    show(answer, _sheet([answer.region]), as_json=as_json)


@app.command("list", cls=ReportedCommand)
def list_(profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """List the regions known, and how each stands."""
    answer = calls.every_page(profile, pb.ListRegionsRequest(page_size=200), pb.ListRegionsResponse)
    show(answer, _sheet(answer.regions), as_json=as_json)


@app.command("show", cls=ReportedCommand)
def show_(entity_id: _EntityId, profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """Show one region: addresses, certificates, log keys."""
    answer = calls.ask(profile, pb.GetRegionRequest(entity_id=entity_id), pb.GetRegionResponse)
    show(answer, _sheet([answer.region]), _details(answer.region), as_json=as_json)


@app.command("key", cls=ReportedCommand)
def key(config: Config = None, as_json: AsJson = False) -> None:
    """Print the id of this region's federation key, for the anchor's people to compare."""
    from gateway.config import GatewayConfig
    from gateway.federation.trust.entity_key import EntityKey

    home = require_home(GatewayConfig.load(config))
    if not home.federation_key.exists():
        raise CommandFailed(
            "There is no federation key yet: it is made when `creditgate serve` first runs with"
            " federation_anchor set."
        )
    kid = EntityKey.kept_in(home.federation_key).kid
    if as_json:
        print_json({"kid": kid})
    else:
        typer.echo(kid)


@app.command("statement", cls=ReportedCommand)
def statement(profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """Print this region's entity configuration, for the anchor to enrol it by."""
    import httpx

    from gateway.federation.trust.statement import configuration_url
    from sdk.credentials import Credentials

    credentials = Credentials.load(profile)
    try:
        answer = httpx.get(
            configuration_url(credentials.issuer), verify=credentials.tls(), timeout=10
        )
        answer.raise_for_status()
    except httpx.HTTPStatusError:
        raise CommandFailed(
            "The gateway is in no federation: set federation_anchor and federation_anchor_keys."
        ) from None
    except httpx.HTTPError:
        raise CommandFailed(
            "The gateway cannot be reached; `creditgate serve` starts it."
        ) from None
    if as_json:
        print_json({"statement": answer.text})
    else:
        typer.echo(answer.text)


def _sheet(regions: Iterable[pb.Region]) -> Sheet:
    return Sheet(
        "Regions",
        ("region", "home of", "how", "asks here as", "chain until"),
        [
            (
                region.entity_id,
                ", ".join(region.codes),
                _STANDING.get(region.standing, ""),
                region.operator_id,
                utc(region.expire_time) if region.HasField("expire_time") else "",
            )
            for region in regions
        ],
    )


def _details(region: pb.Region) -> Sheet:
    rows = [
        ("client id here", region.client_id),
        ("gRPC", ", ".join(region.grpc)),
        ("certificates", ", ".join(region.certificate_thumbprints)),
        *((f"{each.purpose} key", each.verifier_key) for each in region.log_keys),
        ("catalogue", region.catalogue_version),
    ]
    return Sheet("As its trust chain has it", ("what", "value"), rows)
