"""``creditgate client``: clients of the gateway and their keys."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from creditgate.v1 import operator_service_pb2 as pb
from gateway.cli import calls, terms
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import PROFILE, AsJson, Config, Profile, Role, Why
from gateway.cli.output import Sheet, several, show, utc

if TYPE_CHECKING:
    from gateway.cli.client_keys import PublicKeys

app = typer.Typer(help="Clients and their keys.", no_args_is_help=True)

_ClientId = Annotated[str, typer.Argument(metavar="CLIENT", help="Id of the client.")]
_MakeKeys = Annotated[
    Path | None,
    typer.Option(
        "--make-keys",
        metavar="DIR",
        file_okay=False,
        help="Make development keys and a profile in this folder; keys already there are used.",
    ),
]
_Jwks = Annotated[
    Path | None,
    typer.Option("--jwks", exists=True, dir_okay=False, help="Its public keys: a JWK Set."),
]
_Certificates = Annotated[
    list[Path] | None,
    typer.Option(
        "--certificate", exists=True, dir_okay=False, help="Its TLS certificate (PEM); repeatable."
    ),
]


@app.command("register", cls=ReportedCommand)
def register(
    client_id: _ClientId,
    role: Role,
    reason: Why,
    operator_id: Annotated[
        str, typer.Option("--operator", help="The operator it acts for, in role operator.")
    ] = "",
    make_keys: _MakeKeys = None,
    jwks: _Jwks = None,
    certificates: _Certificates = None,
    authentication: Annotated[
        str, typer.Option(help="private_key_jwt or tls_client_auth.", show_default=True)
    ] = "private_key_jwt",
    binding: Annotated[
        str, typer.Option(help="What its tokens are bound to: mtls or dpop.", show_default=True)
    ] = "mtls",
    grant_types: Annotated[
        list[str] | None,
        typer.Option(
            "--grant-type", help="Grant type it may use, client_credentials at first; repeatable."
        ),
    ] = None,
    redirect_uris: Annotated[
        list[str] | None,
        typer.Option(
            "--redirect-uri", help="Where browsers may be sent back to, exactly; repeatable."
        ),
    ] = None,
    signed_requests: Annotated[
        bool, typer.Option("--signed-requests", help="Its pushed requests must be signed.")
    ] = False,
    config: Config = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Register a client with its public keys."""
    keys = _keys(client_id, make_keys, jwks, certificates, profile, config)
    client = pb.Client(
        client_id=client_id,
        role=role,
        operator_id=operator_id,
        jwks=keys.jwks,
        certificate_thumbprints=keys.thumbprints,
        authentication=authentication,
        binding=binding,
        grant_types=grant_types or (),
        redirect_uris=redirect_uris or (),
        signed_requests=signed_requests,
    )
    answer = calls.ask(
        profile,
        pb.RegisterClientRequest(client=client, reason=reason),
        pb.RegisterClientResponse,
    )
    show(answer, _sheet([answer.client]), as_json=as_json)


@app.command("list", cls=ReportedCommand)
def list_(
    operator_id: Annotated[
        str, typer.Option("--operator", help="Only clients of this operator.")
    ] = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List clients, removed ones included."""
    answer = calls.every_page(
        profile,
        pb.ListClientsRequest(operator_id=operator_id, page_size=200),
        pb.ListClientsResponse,
    )
    show(answer, _sheet(answer.clients), as_json=as_json)


@app.command("rotate", cls=ReportedCommand)
def rotate(
    client_id: _ClientId,
    reason: Why,
    make_keys: _MakeKeys = None,
    jwks: _Jwks = None,
    certificates: _Certificates = None,
    config: Config = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Replace a client's keys and certificates; those left out stop at once, with their tokens."""
    keys = _keys(client_id, make_keys, jwks, certificates, profile, config)

    async def rotated(gateway: calls.Gateway) -> pb.RotateClientKeysResponse:
        known = await gateway.every_page(
            pb.ListClientsRequest(page_size=200), pb.ListClientsResponse
        )
        # An unknown client is refused by the gateway itself, whatever etag it is sent.
        etags = {client.client_id: client.etag for client in known.clients}
        request = pb.RotateClientKeysRequest(
            client_id=client_id,
            jwks=keys.jwks,
            certificate_thumbprints=keys.thumbprints,
            etag=etags.get(client_id, ""),
            reason=reason,
        )
        return await gateway.ask(request, pb.RotateClientKeysResponse)

    answer = calls.with_gateway(profile, rotated)
    show(answer, _sheet([answer.client]), as_json=as_json)


@app.command("remove", cls=ReportedCommand)
def remove(
    client_id: _ClientId, reason: Why, profile: Profile = PROFILE, as_json: AsJson = False
) -> None:
    """Remove a client at once."""
    answer = calls.ask(
        profile,
        pb.RemoveClientRequest(client_id=client_id, reason=reason),
        pb.RemoveClientResponse,
    )
    show(answer, _sheet([answer.client]), as_json=as_json)


def _keys(
    client_id: str,
    make_keys: Path | None,
    jwks: Path | None,
    certificates: list[Path] | None,
    profile: Path,
    config: Path | None,
) -> "PublicKeys":
    from gateway.cli.client_keys import given_keys

    return given_keys(
        make_keys,
        jwks,
        certificates,
        client_id=client_id,
        caller=calls.read_profile(profile),
        config=config,
    )


def _sheet(clients: Iterable[pb.Client]) -> Sheet:
    return Sheet(
        "Clients",
        (
            "client",
            "role",
            "operator",
            "signs in by",
            "bound by",
            "certificates (SHA-256)",
            "removed",
        ),
        [
            (
                client.client_id,
                terms.show_role(client.role),
                client.operator_id,
                client.authentication,
                client.binding,
                several(client.certificate_thumbprints),
                utc(client.remove_time),
            )
            for client in clients
        ],
    )
