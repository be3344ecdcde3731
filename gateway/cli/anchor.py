"""``creditgate anchor``: the national trust anchor (国家信任锚), a program with a home of its own."""

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.anchor_changes import Home, change, now_here, show_register
from gateway.cli.failures import CommandFailed, ReportedCommand
from gateway.cli.options import AsJson, Why
from gateway.cli.output import Sheet, console, print_json, show_sheet

if TYPE_CHECKING:
    from gateway.anchor.register import Register

app = typer.Typer(
    help="The trust anchor of a federation of regions: enrols them, cuts them off.",
    no_args_is_help=True,
)

_DAY: Final = 86_400
_MOST_STATEMENT: Final = 262_144
_HOME: Final = Path("anchor")
EntityId = Annotated[
    str, typer.Argument(metavar="ENTITY", help="Entity identifier of a region: its issuer's URL.")
]


@app.command("init", cls=ReportedCommand)
def init(
    entity_id: Annotated[
        str,
        typer.Argument(
            metavar="ENTITY",
            help="The anchor's own entity identifier: the https URL it answers at.",
        ),
    ],
    home: Home = _HOME,
    life_days: Annotated[
        int, typer.Option("--life", min=1, max=31, metavar="DAYS", help="Life of its statements.")
    ] = 2,
    superior: Annotated[
        str | None,
        typer.Option(
            "--superior",
            metavar="ENTITY",
            help="Make an intermediate, to stand below this anchor.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an anchor: its key, an empty register, and a certificate for trying it out."""
    from urllib.parse import urlsplit

    from pydantic import ValidationError

    from gateway.anchor.home import AnchorHome
    from gateway.anchor.register import Register
    from gateway.clock import SystemClock
    from gateway.pki.development import (
        LOOPBACK,
        make_ca,
        make_server_certificate,
        read_issued,
    )

    made, now = AnchorHome.at(home), SystemClock().now()
    try:
        register = Register(
            entity_id=entity_id, life_seconds=life_days * _DAY, number=now, superior=superior
        )
    except ValidationError:
        raise CommandFailed(
            "Give the anchor's entity identifier: an https URL without query."
        ) from None
    made.begin(register, by=getpass.getuser(), now=now)
    hosts = dict.fromkeys((*LOOPBACK, urlsplit(entity_id).hostname or "localhost"))
    make_ca("creditgate anchor development CA", now).write(made.ca, made.ca_key)
    authority = read_issued(made.ca, made.ca_key)
    make_server_certificate(authority, now, hosts).write(made.certificate, made.certificate_key)
    if as_json:
        print_json({"entity_id": entity_id, "kid": made.key().kid, "ca": str(made.ca)})
    else:
        typer.echo(
            f"{entity_id} signs with key {made.key().kid}. Hand what `creditgate anchor keys --json`"
            " prints to every region, by another way than the network."
        )


@app.command("keys", cls=ReportedCommand)
def keys(home: Home = _HOME, as_json: AsJson = False) -> None:
    """List the anchor's public keys; --json prints the JWK Set for federation_anchor_keys."""
    from gateway.anchor.home import AnchorHome

    jwks = AnchorHome.at(home).key().jwks
    if as_json:
        print_json(dict(jwks))
        return
    rows = [(key["kid"], key["alg"]) for key in jwks["keys"]]
    show_sheet(Sheet("Keys the anchor signs with", ("key", "algorithm"), rows), console())


@app.command("enrol", cls=ReportedCommand)
def enrol(
    statement: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            dir_okay=False,
            help="The region's entity configuration, as `creditgate federation statement` or its"
            " /.well-known/openid-federation gives it.",
        ),
    ],
    codes: Annotated[
        list[str],
        typer.Option(
            "--code", metavar="CODE", help="Division it is home of (GB/T 2260); repeat for more."
        ),
    ],
    key: Annotated[
        str,
        typer.Option(
            "--key",
            metavar="KID",
            help="The region's federation key, as its people told it by another way.",
        ),
    ],
    reason: Why,
    intermediate: Annotated[
        bool,
        typer.Option(
            "--intermediate",
            help="It is no region, but states regions below it, within these divisions.",
        ),
    ] = False,
    hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="NAME",
            help="Host that regions below an intermediate may have, or .domain of hosts; repeat for"
            " more.",
            show_default="any",
        ),
    ] = None,
    roots_file: Annotated[
        Path | None,
        typer.Option(
            "--tls-roots",
            dir_okay=False,
            exists=True,
            help="PEM file: authorities of an intermediate's server. A region names its own.",
        ),
    ] = None,
    home: Home = _HOME,
    as_json: AsJson = False,
) -> None:
    """Enrol a region or an intermediate, or enrol it anew with new keys, authorities or divisions."""
    from gateway.anchor.authorities import require_clear_authorities
    from gateway.clock import SystemClock
    from gateway.federation.trust.statement import REGION_METADATA, StatementInvalid, self_signed

    now = SystemClock().now()
    if statement.stat().st_size > _MOST_STATEMENT:
        raise CommandFailed(f"{statement} is too long for an entity configuration.")
    try:
        said = self_signed(statement.read_text(encoding="ascii").strip(), now)
    except (StatementInvalid, UnicodeDecodeError) as error:
        raise CommandFailed(
            f"{statement} is no entity configuration that holds: {error}."
        ) from None
    if [jwk["kid"] for jwk in said.jwks["keys"]] != [key]:
        raise CommandFailed(
            f"{statement} is signed with another key than {key}: ask the region's people again."
        )
    if intermediate != (roots_file is not None):
        raise CommandFailed("Give --intermediate and --tls-roots together.")
    roots = (
        said.metadata.get(REGION_METADATA, {}).get("tls_roots", "")
        if roots_file is None
        else roots_file.read_text(encoding="ascii")
    )

    def enrolled(register: "Register") -> "Register":
        require_clear_authorities(register, said.sub, roots)
        return register.enrolled(
            said.sub,
            said.jwks,
            roots,
            tuple(codes),
            now,
            intermediate=intermediate,
            hosts=tuple(hosts or ()),
        )

    change(home, enrolled, "enrol", said.sub, reason, as_json=as_json)


@app.command("admit-below", cls=ReportedCommand)
def admit_below(
    entity_id: EntityId,
    under: Annotated[
        str, typer.Option("--under", metavar="ENTITY", help="The intermediate that states it.")
    ],
    reason: Why,
    home: Home = _HOME,
    as_json: AsJson = False,
) -> None:
    """Let a region stand that an intermediate has enrolled."""
    now = now_here()
    change(
        home,
        lambda register: register.admitted_below(entity_id, under, now),
        "admit-below",
        entity_id,
        reason,
        as_json=as_json,
    )


@app.command("cut-off", cls=ReportedCommand)
def cut_off(entity_id: EntityId, reason: Why, home: Home = _HOME, as_json: AsJson = False) -> None:
    """Cut a region off: every other region refuses it within a second of hearing so."""
    now = now_here()
    change(
        home,
        lambda register: register.cut_off(entity_id, reason, now),
        "cut-off",
        entity_id,
        reason,
        as_json=as_json,
    )


@app.command("restore", cls=ReportedCommand)
def restore(entity_id: EntityId, reason: Why, home: Home = _HOME, as_json: AsJson = False) -> None:
    """Let a region that was cut off stand again."""
    now = now_here()
    change(
        home,
        lambda register: register.restored(entity_id, now),
        "restore",
        entity_id,
        reason,
        as_json=as_json,
    )


@app.command("withdraw", cls=ReportedCommand)
def withdraw(entity_id: EntityId, reason: Why, home: Home = _HOME, as_json: AsJson = False) -> None:
    """Take a region out of the register."""
    now = now_here()
    change(
        home,
        lambda register: register.withdrawn(entity_id, now),
        "withdraw",
        entity_id,
        reason,
        as_json=as_json,
    )


@app.command("list", cls=ReportedCommand)
def list_(home: Home = _HOME, as_json: AsJson = False) -> None:
    """List the regions enrolled."""
    from gateway.anchor.home import AnchorHome

    show_register(AnchorHome.at(home).register(), as_json=as_json)


@app.command("serve", cls=ReportedCommand)
def serve(
    home: Home = _HOME,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port.")] = 8_445,
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--tls-certificate",
            dir_okay=False,
            help="PEM file: the server's certificate chain.",
            show_default="one of the anchor's own development CA",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--tls-key", dir_okay=False, help="PEM file: private key of the certificate."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Serve statements and news until Ctrl-C or SIGTERM; what other commands change acts at once."""
    from gateway.anchor.home import AnchorHome
    from gateway.anchor.serving import serve as serve_until_stopped

    if (certificate is None) != (key is None):
        raise CommandFailed("Give --tls-certificate and --tls-key together.")
    serving = AnchorHome.at(home)
    entity_id = serving.register().entity_id

    def ready(taken: int) -> None:
        if as_json:
            # One line, so that a program that started this one can wait for it.
            typer.echo(json.dumps({"entity_id": entity_id, "port": taken}))
        else:
            typer.echo(f"Serving {entity_id} at {host}:{taken}; Ctrl-C stops.")

    serve_until_stopped(serving, host, port, certificate, key, ready)
