"""``creditgate consent receipt``: receipts read, and signed by the subject in its turn."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from creditgate.signed_document import KEYS_PATH
from creditgate.v1 import consent_service_pb2 as pb
from gateway.cli import calls
from gateway.cli.consent_sheets import item_cell
from gateway.cli.failures import CommandFailed, ReportedCommand
from gateway.cli.options import PROFILE, AsJson, Profile
from gateway.cli.output import Sheet, console, print_json, several, show_sheet, utc_seconds

if TYPE_CHECKING:
    from creditgate.consent_artefact import ConsentArtefact
    from sdk.credentials import Credentials
    from sdk.documents import Signed

app = typer.Typer(help="Receipts of consents: verify, countersign.", no_args_is_help=True)

_Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE", help="A file with the receipt, - for standard input, or consents/ID."
    ),
]


@app.command("verify", cls=ReportedCommand)
def verify(
    source: _Source,
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys",
            exists=True,
            dir_okay=False,
            help="The gateway's keys of receipts, kept (a JWK Set); without it they are fetched.",
        ),
    ] = None,
    issuer: Annotated[
        str, typer.Option("--issuer", help="Who must have signed it.", show_default="the profile's")
    ] = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Tell whether the gateway signed a receipt, and what it says. Offline with --keys.

    Of consents/ID the subject's own signature is checked too, if there is one.
    """
    from sdk.documents import document_keys, read_keys
    from sdk.receipts import verified_countersignature, verified_receipt

    consent = _read(source, profile)
    known = document_keys(_credentials(profile)) if keys is None else read_keys(keys.read_bytes())
    found = verified_receipt(consent.receipt, known, issuer or _credentials(profile).issuer)
    own = consent.subject_signature and verified_countersignature(
        consent.receipt, consent.subject_signature, consent.subject_key
    )
    if as_json:
        print_json(
            {
                "kid": found.kid,
                "key_retired": found.key_retired,
                "subject_key": own,
                "artefact": found.document.as_json(),
            }
        )
    else:
        show_sheet(_sheet(found, own), console())


@app.command("countersign", cls=ReportedCommand)
def countersign(
    source: _Source,
    key: Annotated[
        Path,
        typer.Option(
            "--key",
            exists=True,
            dir_okay=False,
            help="The subject's private key (PEM): EC P-256, Ed25519 or RSA.",
        ),
    ],
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Sign a receipt with the subject's own key: a JWS without its payload (RFC 7515)."""
    from sdk.receipts import countersigned
    from sdk.signing import SigningKey

    try:
        own = SigningKey.read(key.read_bytes())
    except (ValueError, TypeError):
        raise CommandFailed(
            f"{key} is no key to sign with: give an EC P-256, Ed25519 or RSA private key (PEM)"
            " without a password."
        ) from None
    signature = countersigned(_read(source, profile).receipt, own)
    if as_json:
        print_json({"signature": signature})
    else:
        typer.echo(signature)


def _credentials(profile: Path) -> "Credentials":
    """Return the profile that keys and issuer are taken from where they are not given.

    Raises CommandFailed: most who hold a receipt have none, and need none.
    """
    if not profile.exists():
        raise CommandFailed(
            f"Give both --keys and --issuer: there is no profile {profile} to take them from. The"
            f" issuer is the gateway's address; its keys, as a file, are at ISSUER{KEYS_PATH}."
        )
    return calls.read_profile(profile)


def _read(source: str, profile: Path) -> pb.Consent:
    """Return the consent from where ``source`` says, a file's with its receipt alone.

    Raises CommandFailed, OSError.
    """
    if source.startswith("consents/"):
        request = pb.GetConsentRequest(name=source)
        consent = calls.ask(profile, request, pb.GetConsentResponse).consent
        if not consent.receipt:
            raise CommandFailed(f"{source} has no receipt: it was not granted.")
        return consent
    text = (
        sys.stdin.read()
        if source == "-"
        else Path(source).read_text(encoding="ascii", errors="replace")
    )
    return pb.Consent(receipt=text.strip())


def _sheet(found: "Signed[ConsentArtefact]", own: str) -> Sheet:
    artefact = found.document
    terms = artefact.terms
    rows = (
        ("consent", artefact.consent),
        ("state then", artefact.state.lower()),
        ("signed", utc_seconds(artefact.iat)),
        ("by", artefact.iss),
        ("key", found.kid + (" (retired since)" if found.key_retired else "")),
        ("subject's own key", own),
        ("subject", artefact.subject),
        ("answered by", artefact.representative),
        (
            "operator",
            " ".join(
                filter(None, (artefact.operator_id, artefact.operator_name, artefact.operator_uscc))
            ),
        ),
        ("items", several(item_cell(each.item, each.fields) for each in terms.items)),
        ("purposes", several(terms.purposes)),
        ("regions", several(terms.regions)),
        ("validity", f"[{utc_seconds(terms.validity.start)}, {utc_seconds(terms.validity.until)})"),
    )
    return Sheet(
        "Receipt is the gateway's",
        [name for name, _ in rows],
        [[cell for _, cell in rows]],
        blocks=True,
    )
