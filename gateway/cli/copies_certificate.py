"""``creditgate copies certificate`` and ``verify``: conformance shown to customers (一致性证书)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from creditgate.v1 import conformance_service_pb2 as pb
from gateway.cli import calls
from gateway.cli.failures import CommandFailed
from gateway.cli.options import PROFILE, AsJson, Freshness, Profile
from gateway.cli.output import Sheet, as_dict, console, print_json, show_sheet, utc_seconds
from gateway.cli.outputs import output_file
from gateway.cli.proving import Successions
from gateway.cli.proving import read_keys as pinned_keys
from gateway.clock import SystemClock

if TYPE_CHECKING:
    from creditgate.conformance_certificate import ConformanceCertificate, ConformanceStatus
    from creditgate.transparency.note import Checkpoint
    from sdk.documents import Signed

_FALLEN: Final = {
    "unproven": "copies drawn for it are still to be shown",
    "withdrawn": "it was withdrawn, something stands against the operator",
    "superseded": "the operator has attested anew since; ask it for the newer certificate",
    "expired": "its time is over",
}


def certificate(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", dir_okay=False, callback=output_file, help="Write it to this file."
        ),
    ] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Print your certificate of conformance in force, for your customers to verify."""
    answer = calls.ask(profile, pb.GetConformanceRequest(), pb.GetConformanceResponse)
    if not answer.certificate:
        raise CommandFailed(
            "There is no certificate in force: `creditgate copies show` tells what stands, and"
            " `creditgate copies reconcile` without findings brings a new one."
        )
    if output is not None:
        output.write_text(answer.certificate + "\n", encoding="ascii")
    if as_json:
        attestation = as_dict(answer.last_attestation)
        print_json({"certificate": answer.certificate, "last_attestation": attestation})
    elif output is None:
        typer.echo(answer.certificate)


def verify(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The certificate (JWT)."),
    ],
    key: Annotated[
        str,
        typer.Option(
            "--key",
            metavar="VKEY",
            help="Key of the disclosure log, as you pinned it: its checkpoint is verified too.",
        ),
    ] = "",
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys",
            exists=True,
            dir_okay=False,
            help="The gateway's keys, kept (a JWK Set); without it they are fetched.",
        ),
    ] = None,
    statement: Annotated[
        Path | None,
        typer.Option(
            "--status",
            exists=True,
            dir_okay=False,
            help="A signed status, kept; without it the gateway is asked, unless --keys is given.",
        ),
    ] = None,
    freshness: Freshness = None,
    issuer: Annotated[
        str,
        typer.Option(
            "--issuer",
            help="Who must have signed it.",
            show_default="the profile's; with --keys, the gateway whose log --key is of",
        ),
    ] = "",
    succession: Successions = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Tell what a certificate says, that the gateway signed it, and whether it still holds.
    Offline with --keys, and --issuer or --key."""
    from sdk.certificates import (
        certificate_issuer,
        certificate_status,
        certified_checkpoint,
        verified_certificate,
        verified_certificate_status,
    )
    from sdk.documents import STATUS_SECONDS, document_keys, read_keys

    text, now = _text(file), SystemClock().now()
    log = pinned_keys(key, succession) if key else None
    if keys is None:
        credentials = calls.read_profile(profile)
        known, signer = document_keys(credentials), issuer or credentials.issuer
    else:
        credentials, known = None, read_keys(keys.read_bytes())
        signer = issuer or (
            calls.read_profile(profile).issuer
            if log is None
            else certificate_issuer(text, log.chain[0])
        )
    signed = verified_certificate(text, known, signer, now)
    checkpoint = None if log is None else certified_checkpoint(signed.document, log)
    said = None if statement is None else _text(statement)
    if said is None and credentials is not None:
        said = certificate_status(credentials, signed.document)
    told = None
    if said is not None:
        told = verified_certificate_status(
            said, text, known, signer, now, freshness or STATUS_SECONDS
        )
        if told.state != "valid":
            raise CommandFailed(f"The certificate is not in force: {_FALLEN[told.state]}.")
    if as_json:
        print_json(
            {
                "certificate": signed.document.as_json(),
                "kid": signed.kid,
                "key_retired": signed.key_retired,
                "checkpoint_size": None if checkpoint is None else checkpoint.size,
                "status": None if told is None else told.as_json(),
            }
        )
    else:
        show_sheet(_sheet(signed, checkpoint, told), console())


def _text(file: Path) -> str:
    return file.read_text(encoding="ascii", errors="replace").strip()


def _sheet(
    signed: "Signed[ConformanceCertificate]",
    checkpoint: "Checkpoint | None",
    told: "ConformanceStatus | None",
) -> Sheet:
    said = signed.document
    rows = (
        ("operator", f"{said.sub}, {said.operator_name}, {said.operator_uscc}"),
        ("copies", str(said.copies)),
        ("of those it should hold", str(said.entitled)),
        ("told missing", str(said.missing)),
        ("of them, could be asked for", str(said.drawable)),
        ("read", "" if said.read_at is None else utc_seconds(said.read_at)),
        ("compared with event", str(said.disclosure_sequence)),
        (
            "checkpoint",
            "not verified: give --key"
            if checkpoint is None
            else f"{checkpoint.origin}, {checkpoint.size} entries",
        ),
        ("attested", utc_seconds(said.iat)),
        ("good until", utc_seconds(said.exp)),
        ("signed by", said.iss),
        ("key", signed.kid + (" (retired since)" if signed.key_retired else "")),
        ("status", "not looked at: give --status" if told is None else told.state),
        ("status as of", "" if told is None else utc_seconds(told.iat)),
        ("status page", said.status),
    )
    return Sheet(
        "Certificate is the gateway's",
        [name for name, _ in rows],
        [[cell for _, cell in rows]],
        blocks=True,
    )
