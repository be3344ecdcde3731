"""Options of commands that ask for proofs, keep answers and verify them by a pinned key."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from google.protobuf.message import Message

from creditgate.v1.disclosure_proof_pb2 import ProofKind
from gateway.cli.failures import CommandFailed
from gateway.cli.output import several
from gateway.cli.outputs import output_file

if TYPE_CHECKING:
    from creditgate.transparency.completeness import ProvedSubject
    from creditgate.transparency.linked import LinkedKeys
    from creditgate.transparency.note import VerifierKey

_PREFIX: Final = "PROOF_KIND_"


class ProofAsked(StrEnum):
    """Proof that an answer is to carry."""

    NONE = "none"
    INCLUSION = "inclusion"
    COMPLETE = "complete"


_KINDS: Final = {
    ProofAsked.NONE: ProofKind.PROOF_KIND_UNSPECIFIED,
    ProofAsked.INCLUSION: ProofKind.PROOF_KIND_INCLUSION,
    ProofAsked.COMPLETE: ProofKind.PROOF_KIND_COMPLETE,
}
Proof = Annotated[ProofAsked, typer.Option("--proof", help="Proof the answer is to carry.")]
Save = Annotated[
    Path | None,
    typer.Option(
        "--save",
        dir_okay=False,
        callback=output_file,
        help="Write the answer's bytes here, and the request's beside it, for `verify`.",
    ),
]
Pinned = Annotated[
    str,
    typer.Option(
        "--key", metavar="VKEY", help="Verify the answer at once, by this key of the log."
    ),
]


Successions = Annotated[
    list[Path] | None,
    typer.Option(
        "--succession",
        metavar="NOTE",
        exists=True,
        dir_okay=False,
        help="A note (log rotate) by which the key, or one behind it, names the next; repeatable.",
    ),
]


def kind_of(kind: ProofKind.ValueType) -> str:
    """Return the kind of a proof as it is written."""
    return ProofKind.Name(kind).removeprefix(_PREFIX).lower()


def on_its_word(subjects: "Iterable[ProvedSubject]") -> str:
    """Return of what it is the gateway's word that nothing was left out; "" for nothing."""
    told = [f"{item} of {each.subject}" for each in subjects for item in each.on_word]
    return (
        f"that nothing was left out of {several(told)}: the keys of its leaves are the gateway's own"
        if told
        else ""
    )


def read_key(vkey: str) -> "VerifierKey":
    """Return the pinned key of a log. Raises CommandFailed."""
    from creditgate.transparency.note import VerifierKey

    try:
        return VerifierKey.parse(vkey)
    except ValueError as error:
        raise CommandFailed(f"--key: {error}.") from None


def read_keys(vkey: str, notes: "Iterable[Path] | None") -> "LinkedKeys":
    """Return the pinned key of a log and those that the notes in these files lead to. Raises
    CommandFailed."""
    from creditgate.transparency.linked import LinkedKeys

    texts = [file.read_text("utf-8", "replace") for file in notes or ()]
    return LinkedKeys.of(read_key(vkey), texts)


def asked(proof: ProofAsked, key: str) -> ProofKind.ValueType:
    """Return the proof to ask for. Raises CommandFailed, before anything is charged, where an
    answer without one was to be verified, or by no key."""
    if key:
        read_key(key)
        if proof is ProofAsked.NONE:
            raise CommandFailed("--key verifies a proof: ask for one with --proof.")
    return _KINDS[proof]


def kept(request: Message, *answers: Message, file: Path | None, key: str) -> None:
    """Write the answer to ``file``, if any, and verify it by ``key``, if any.

    It is written first: one that does not verify is evidence. Raises CommandFailed.
    """
    if file is None and not key:
        return
    from creditgate.transparency.merkle import ProofInvalid
    from sdk.answers import KeptAnswer

    answer = KeptAnswer.of(request, *answers)
    if file is not None:
        answer.write(file)
    if key:
        try:
            answer.verified(read_key(key))
        except ProofInvalid as error:
            raise CommandFailed(f"The answer does not verify: {error}.") from None
