"""``creditgate usage``: proofs of use shown, written as evidence, and verified offline."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import calls
from gateway.cli.failures import CommandFailed
from gateway.cli.options import PROFILE, AsJson, Profile
from gateway.cli.output import as_dict, console, print_json, show_sheet
from gateway.cli.outputs import output_file
from gateway.cli.proving import Successions, read_key, read_keys
from gateway.cli.usage_book import verified
from gateway.cli.usage_sheets import (
    checked_document,
    evidence_document,
    evidence_sheet,
    show_checked,
    use_sheet,
)

if TYPE_CHECKING:
    from creditgate.transparency.linked import LinkedKeys
    from creditgate.transparency.note import VerifierKey
    from creditgate.v1.usage_evidence_pb2 import UsageEvidence

_Name = Annotated[
    str,
    typer.Argument(
        metavar="ENTRY", help="Name of a use, an entry or a line of one: operators/ID/usage/PLACE…"
    ),
]
_Key = Annotated[
    str, typer.Option("--key", metavar="VKEY", help="The key of receipts, as you pinned it.")
]


def proof(name: _Name, key: _Key, profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """Prove that a usage entry's answer is in the usage log, and show its leaf."""
    from creditgate.transparency.usage_evidence import verify_evidence

    evidence, keys = _proved(profile, name, read_key(key))
    with verified():
        found = verify_evidence(evidence.SerializeToString(deterministic=True), keys)
    size = _size(evidence)
    if as_json:
        print_json({"leaf": as_dict(found.leaf), "size": size})
    else:
        show_sheet(use_sheet(found.leaf, size), console())


def prove(
    name: _Name,
    key: _Key,
    output: Annotated[
        Path,
        typer.Option(
            "--output", dir_okay=False, callback=output_file, help="Write the evidence here."
        ),
    ],
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Write evidence of a use: its leaf, path and checkpoint, and the operator's agreement.

    It is what answers a dispute; anyone verifies it offline.
    """
    from creditgate.transparency.usage_evidence import verify_evidence
    from sdk.usage_agreements import agreed_by

    proved, keys = _proved(profile, name, read_key(key))
    evidence = proved.SerializeToString(deterministic=True)
    with verified():
        found = verify_evidence(evidence, keys)
        agreed = agreed_by(found)
    output.write_bytes(evidence)
    if as_json:
        print_json(evidence_document(found, agreed))
    else:
        show_sheet(evidence_sheet(found, agreed), console())


def verify(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Evidence, or an answer as it was saved (--save).",
        ),
    ],
    key: _Key,
    succession: Successions = None,
    as_json: AsJson = False,
) -> None:
    """Tell what evidence about use shows, or what an answer was charged. Offline."""
    from creditgate.transparency.merkle import ProofInvalid
    from creditgate.transparency.strict import strictly
    from creditgate.v1.usage_evidence_pb2 import UsageEvidence

    pinned = read_keys(key, succession)
    try:
        strictly(UsageEvidence, file.read_bytes())
    except ProofInvalid:
        _verify_answer(file, pinned, as_json=as_json)
        return
    from creditgate.transparency.statement_evidence import (
        is_about_statement,
        verify_statement_evidence,
    )
    from creditgate.transparency.usage_evidence import verify_evidence
    from sdk.usage_agreements import agreed_by

    with verified():
        if is_about_statement(file.read_bytes()):
            checked = verify_statement_evidence(file.read_bytes(), pinned)
            if as_json:
                print_json(checked_document(checked))
            else:
                show_checked(checked)
            return
        found = verify_evidence(file.read_bytes(), pinned)
        agreed = agreed_by(found)
    if as_json:
        print_json(evidence_document(found, agreed))
    else:
        show_sheet(evidence_sheet(found, agreed), console())


def _verify_answer(file: Path, key: "LinkedKeys", *, as_json: bool) -> None:
    from creditgate.transparency.usage import verify_served
    from creditgate.transparency.verify import answer_of
    from sdk.answers import KeptAnswer

    with verified():
        leaf = verify_served([answer_of(part) for part in KeptAnswer.read(file).parts], key)
    if as_json:
        print_json({"leaf": as_dict(leaf), "size": None})
    else:
        show_sheet(use_sheet(leaf, None), console())


def _proved(profile: Path, name: str, key: "VerifierKey") -> "tuple[UsageEvidence, LinkedKeys]":
    """Return the proof of a use, and the keys that it is verified by: the pinned one and those that
    follow it."""
    from sdk.usage import Usage

    if not name.startswith("operators/"):
        raise CommandFailed("Name the entry as `creditgate usage list --json` does.")
    operator_id = name.split("/")[1]

    async def work(gateway: calls.Gateway) -> "tuple[UsageEvidence, LinkedKeys]":
        usage = Usage(gateway.channel)
        keys = await usage.linked(operator_id, key)
        return await usage.prove(name, keys), keys

    with verified():
        return calls.with_gateway(profile, work)


def _size(evidence: "UsageEvidence") -> int:
    """Return the size in a checkpoint that is verified."""
    return int(evidence.leaves[0].logged.checkpoint.split("\n")[1])
