"""Cosignatures are those of C2SP tlog-cosignature, and a quorum is of witnesses that differ."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from creditgate.transparency.cosignatures import (
    SKEW_SECONDS,
    CosignerKey,
    WitnessPolicy,
    cosignature_line,
    cosignatures_in,
    cosigned_text,
    majority,
    verify_witnessed,
)
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import (
    Checkpoint,
    VerifierKey,
    checkpoint_body,
    signed,
    taken_apart,
)
from tests.transparency.keys import key_of

PUBLISHED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "vectors" / "cosigned.json").read_text(encoding="utf-8")
)
NOTE: str = PUBLISHED["note"]
WITNESSES = tuple(CosignerKey.parse(each) for each in PUBLISHED["witnesses"])
LOG = VerifierKey.parse(PUBLISHED["log"])
AT: int = PUBLISHED["cosigned_at"]
LOG_KEY = key_of()
OWN = Checkpoint(LOG_KEY.verifier.name, 7, bytes(range(32)))


class Cosigner:
    """A witness with a key of its own."""

    def __init__(
        self, name: str = "witness.invalid/one", private: Ed25519PrivateKey | None = None
    ) -> None:
        self.private = private or Ed25519PrivateKey.generate()
        self.verifier = CosignerKey(name, self.private.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        """Return the signature of ``text``."""
        return self.private.sign(text)


def cosigned(*cosigners: Cosigner, at: int = 1_000) -> str:
    """Return an invented checkpoint with cosignatures."""
    note = signed(checkpoint_body(OWN), LOG_KEY)
    text, _ = taken_apart(note)
    return note + "".join(cosignature_line(text, each, at) for each in cosigners)


def test_a_checkpoint_cosigned_by_public_witnesses_verifies() -> None:
    found = verify_witnessed(NOTE, LOG, WitnessPolicy(WITNESSES, 3), AT)
    assert found.checkpoint.size == 1_432_088_532
    assert found.cosigned == dict.fromkeys(WITNESSES, AT)


@pytest.mark.parametrize("vkey", PUBLISHED["witnesses"])
def test_a_witness_key_is_written_as_it_was_read(vkey: str) -> None:
    assert str(CosignerKey.parse(vkey)) == vkey


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+12345678",
        PUBLISHED["log"],
        PUBLISHED["witnesses"][0].replace("da77ade7", "da77ade8"),
        PUBLISHED["witnesses"][0].replace("remora", "another"),
        PUBLISHED["witnesses"][0][:-4],
    ],
)
def test_what_is_no_witness_key_is_not_read(vkey: str) -> None:
    with pytest.raises(ValueError, match="key"):
        CosignerKey.parse(vkey)


def test_a_witness_key_signs_another_text_than_the_log_key_of_the_same_bytes() -> None:
    witness = Cosigner(LOG.name)
    as_log = VerifierKey(witness.verifier.name, witness.verifier.public)
    assert witness.verifier.key_id != as_log.key_id
    text = checkpoint_body(OWN)
    assert cosigned_text(text, 5) == b"cosignature/v1\ntime 5\n" + text.encode()


@given(st.integers(0, len(NOTE) - 1), st.sampled_from("aA0+/=\n —"))
def test_no_altered_note_is_witnessed_as_another(place: int, character: str) -> None:
    altered = NOTE[:place] + character + NOTE[place + 1 :]
    true = verify_witnessed(NOTE, LOG, WitnessPolicy(WITNESSES, 3))
    try:
        found = verify_witnessed(altered, LOG, WitnessPolicy(WITNESSES, 3))
    except ProofInvalid:
        return
    assert found == true


def test_a_line_of_a_known_witness_that_does_not_verify_spoils_the_note() -> None:
    one, two = Cosigner(), Cosigner("witness.invalid/two")
    forged = Cosigner()
    line = cosignature_line(checkpoint_body(OWN), forged, 1_000).split(" ")[2]
    key = one.verifier
    with pytest.raises(ProofInvalid, match="not of the witness's key"):
        cosignatures_in(
            cosigned(two) + _renamed(line, key.key_id, forged.verifier.key_id, key.name),
            [one.verifier, two.verifier],
        )


def _renamed(encoded: str, new: bytes, old: bytes, name: str) -> str:
    from base64 import b64decode, b64encode

    raw = b64decode(encoded)
    assert raw.startswith(old)
    return f"— {name} {b64encode(new + raw[4:]).decode()}\n"


def test_one_witness_that_cosigned_twice_counts_once_with_its_newest() -> None:
    one = Cosigner()
    text = checkpoint_body(OWN)
    note = cosigned(one, at=1_000) + cosignature_line(text, one, 2_000)
    assert cosignatures_in(note, [one.verifier]) == {one.verifier: 2_000}
    with pytest.raises(ProofInvalid, match="cosign a checkpoint 1 have"):
        verify_witnessed(
            note,
            LOG_KEY.verifier,
            WitnessPolicy((one.verifier, Cosigner("witness.invalid/two").verifier), 2),
        )


def test_one_key_under_two_names_is_no_second_witness() -> None:
    key = Cosigner().verifier
    with pytest.raises(ValueError, match="key of its own"):
        WitnessPolicy((key, CosignerKey("witness.invalid/two", key.public)), 2)


def test_cosignatures_of_the_future_do_not_count() -> None:
    one = Cosigner()
    policy = WitnessPolicy((one.verifier,), 1)
    note = cosigned(one, at=10_000)
    assert verify_witnessed(note, LOG_KEY.verifier, policy, 10_000 - SKEW_SECONDS).cosigned
    with pytest.raises(ProofInvalid, match="cosign a checkpoint 0 have"):
        verify_witnessed(note, LOG_KEY.verifier, policy, 10_000 - SKEW_SECONDS - 1)


def test_strangers_cosignatures_are_passed_over() -> None:
    one, stranger = Cosigner(), Cosigner("witness.invalid/stranger")
    note = cosigned(stranger, one)
    assert cosignatures_in(note, [one.verifier]) == {one.verifier: 1_000}


@given(st.integers(1, 1_000))
def test_two_majorities_have_a_witness_in_common(witnesses: int) -> None:
    quorum = majority(witnesses)
    assert quorum <= witnesses < 2 * quorum
