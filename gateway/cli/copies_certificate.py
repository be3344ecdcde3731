"""``creditgate copies certificate`` and ``verify``: conformance shown to customers (一致性证书)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from creditgate.v1 import conformance_service_pb2 as pb
from gateway.cli import calls
from gateway.cli.failures import CommandFailed
from gateway.cli.options import PROFILE, AsJson, Profile
from gateway.cli.output import Sheet, as_dict, console, print_json, show_sheet, utc_seconds
from gateway.cli.proving import read_key
from gateway.clock import SystemClock

if TYPE_CHECKING:
    from creditgate.conformance_certificate import ConformanceCertificate
    from creditgate.transparency.note import Checkpoint
    from sdk.documents import Signed


def certificate(
    output: Annotated[
        Path | None, typer.Option("--output", dir_okay=False, help="Write it to this file.")
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
    issuer: Annotated[
        str, typer.Option("--issuer", help="Who must have signed it.", show_default="the profile's")
    ] = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Tell what a certificate says and that the gateway signed it. Offline with --keys and
    --issuer."""
    from sdk.certificates import certified_checkpoint, verified_certificate
    from sdk.documents import document_keys, read_keys

    known = (
        document_keys(calls.read_profile(profile)) if keys is None else read_keys(keys.read_bytes())
    )
    signer = issuer or calls.read_profile(profile).issuer
    text = file.read_text(encoding="ascii", errors="replace").strip()
    signed = verified_certificate(text, known, signer, SystemClock().now())
    checkpoint = None
    if key:
        checkpoint = certified_checkpoint(signed.document, read_key(key))
    if as_json:
        print_json(
            {
                "certificate": signed.document.as_json(),
                "kid": signed.kid,
                "key_retired": signed.key_retired,
                "checkpoint_size": None if checkpoint is None else checkpoint.size,
            }
        )
    else:
        show_sheet(_sheet(signed, checkpoint), console())


def _sheet(signed: "Signed[ConformanceCertificate]", checkpoint: "Checkpoint | None") -> Sheet:
    said = signed.document
    rows = (
        ("operator", f"{said.sub}, {said.operator_name}, {said.operator_uscc}"),
        ("copies", str(said.copies)),
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
        ("whether it still holds", said.status),
    )
    return Sheet(
        "Certificate is the gateway's",
        [name for name, _ in rows],
        [[cell for _, cell in rows]],
        blocks=True,
    )
