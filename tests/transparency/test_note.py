"""Signed notes and checkpoints against those of golang.org/x/mod, C2SP and Tessera."""

from base64 import b64decode, b64encode

import pytest

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import (
    Checkpoint,
    VerifierKey,
    checkpoint_body,
    open_checkpoint,
    open_note,
    signed,
)
from tests.transparency.keys import key_of, published
from tests.transparency.vectors import vectors

NOTES = vectors("notes")
TEXT: str = NOTES["text"]
PETER: str = NOTES["signatures"]["PeterNeumann"]
ENOCH: str = NOTES["signatures"]["EnochRoot"]
KEY = VerifierKey.parse(NOTES["keys"]["PeterNeumann"])


@pytest.mark.parametrize("vkey", NOTES["keys"].values())
def test_a_published_key_is_read_and_written_alike(vkey: str) -> None:
    assert str(VerifierKey.parse(vkey)) == vkey


@pytest.mark.parametrize(
    "vkey",
    [
        *NOTES["bad_keys"],
        "",
        "PeterNeumann",
        NOTES["keys"]["PeterNeumann"].replace("c74f", "c74e"),
        NOTES["keys"]["PeterNeumann"].replace("Peter", "Pe er"),
    ],
)
def test_a_key_that_is_none_is_refused(vkey: str) -> None:
    with pytest.raises(ValueError, match="key"):
        VerifierKey.parse(vkey)


def test_a_note_is_signed_as_golang_signs_it() -> None:
    assert signed(TEXT, published(NOTES["private_keys"]["PeterNeumann"])) == f"{TEXT}\n{PETER}"


def test_the_example_of_c2sp_opens() -> None:
    key = VerifierKey.parse(NOTES["keys"]["example.com/foo"])
    assert open_note(NOTES["example"], key) == "This is an example message.\n"


@pytest.mark.parametrize("signatures", [PETER, PETER + ENOCH, ENOCH + PETER, PETER + PETER])
def test_a_note_opens_for_its_signer_whoever_else_signed(signatures: str) -> None:
    assert open_note(f"{TEXT}\n{signatures}", KEY) == TEXT


@pytest.mark.parametrize(
    "note",
    [
        TEXT,
        TEXT + "\n",
        f"{TEXT}\n{ENOCH}",
        f"{TEXT}\n{PETER[:-1]}",
        f"\x01{TEXT}\n{PETER}",
        f"\udcff{TEXT}\n{PETER}",
        f"{TEXT}\n{PETER.replace('PeterNeumann', 'Bad Name')}",
        f"{TEXT}\n{PETER}Unexpected line.\n",
        f"{TEXT}\n{PETER[:60]}ABCD{PETER[60:]}",
        f"{TEXT} \n{PETER}",
        f"{TEXT}\n{PETER * 1_000}",
    ],
)
def test_a_note_that_is_malformed_or_of_others_is_refused(note: str) -> None:
    with pytest.raises(ProofInvalid):
        open_note(note, KEY)


def test_the_checkpoints_of_a_tessera_log_open() -> None:
    log = vectors("tessera_log")
    key = VerifierKey.parse(log["verifier_key"])
    for size, note in enumerate(log["checkpoints"]):
        checkpoint = open_checkpoint(note, key)
        assert (checkpoint.origin, checkpoint.size) == (key.name, size)
        assert signed(checkpoint_body(checkpoint), published(log["private_key"])) == note


@pytest.mark.parametrize(
    "body",
    [
        "gateway.invalid/other\n1\n{root}\n",
        "gateway.invalid/log/disclosure\n01\n{root}\n",
        "gateway.invalid/log/disclosure\n-1\n{root}\n",
        "gateway.invalid/log/disclosure\n１\n{root}\n",
        "gateway.invalid/log/disclosure\n1\n{root}\nextension\n",
        "gateway.invalid/log/disclosure\n1\n",
        "gateway.invalid/log/disclosure\n1\nAAAA\n",
        "gateway.invalid/log/disclosure\n1\n{loose}\n",
    ],
)
def test_a_signed_note_that_is_no_checkpoint_of_the_log_is_refused(body: str) -> None:
    key = key_of()
    root = b64encode(bytes(32)).decode()
    # The last character has two bits that mean nothing.
    loose = root[:-2] + "B="
    assert b64decode(loose) == bytes(32)
    note = signed(body.format(root=root, loose=loose), key)
    assert open_note(note, key.verifier)
    with pytest.raises(ProofInvalid):
        open_checkpoint(note, key.verifier)


def test_every_changed_byte_of_a_checkpoint_is_detected() -> None:
    key = key_of()
    checkpoint = Checkpoint(key.verifier.name, 7, bytes(range(32)))
    note = signed(checkpoint_body(checkpoint), key).encode()
    for position in range(len(note)):
        for bit in range(8):
            changed = bytearray(note)
            changed[position] ^= 1 << bit
            try:
                text = changed.decode()
            except UnicodeDecodeError:
                continue
            with pytest.raises(ProofInvalid):
                open_checkpoint(text, key.verifier)
