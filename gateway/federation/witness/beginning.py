"""Beginning a witness anew, where the store has forgotten what its key signed."""

from pathlib import Path

from sqlalchemy import Engine

from gateway.federation.witness.keys import WitnessForgot, WitnessKey
from gateway.federation.witness.witness import Witness


class NothingForgotten(RuntimeError):
    """The store has all that the witness's key has signed."""


def begin_witness_anew(evidence: Engine, file: Path, issuer: str) -> Path:
    """Put the witness's key in ``file`` away and return where it is now; the gateway, which must
    not run, makes another as it starts, and tells its peers by its region's statement.

    What the store still has of others' logs stays: the new key contradicts none of it. Raises
    NothingForgotten, and OSError.
    """
    try:
        Witness(evidence, WitnessKey.kept_in(file, issuer)).require_memory()
    except WitnessForgot:
        number = 1
        while (away := file.with_suffix(f".{number}.pem")).exists():
            number += 1
        file.with_suffix(".signed").rename(away.with_suffix(".signed"))
        file.rename(away)
        return away
    raise NothingForgotten
