"""Receipts on the command line: read offline, signed with the subject's own key."""

import json
from pathlib import Path

import pytest

from tests.cli.commands import Done, creditgate_here
from tests.consents.receipts import ISSUER, SUBJECT, Signing, granted
from tests.consents.subjects_own import ALGORITHMS, SubjectsOwn


@pytest.fixture
def signing(tmp_path: Path) -> Signing:
    """A gateway that signs receipts; its keys are kept in keys.json, one receipt in receipt.txt."""
    made = Signing(tmp_path / "gateway")
    made.add("ES256")
    (tmp_path / "keys.json").write_text(json.dumps(made.published))
    (tmp_path / "receipt.txt").write_text(made.receipts.signed(granted()) + "\n")
    return made


def verify(folder: Path, *more: str) -> Done:
    """Verify the receipt with nothing but the kept keys."""
    source = ("consent", "receipt", "verify", folder / "receipt.txt")
    kept = ("--keys", folder / "keys.json", "--issuer", ISSUER)
    return creditgate_here(folder / "home", *source, *kept, *more)


def test_a_kept_receipt_is_read_without_a_gateway_or_a_profile(
    tmp_path: Path, signing: Signing
) -> None:
    told = verify(tmp_path, "--json")
    assert told.status == 0, told.out
    assert told.json["artefact"]["subject"] == SUBJECT
    assert told.json["kid"] in {key["kid"] for key in signing.published["keys"]}
    assert not told.json["key_retired"]
    shown = verify(tmp_path)
    assert "evaluation.public-credit (grade, score)" in shown.out
    assert "alpha-credit" in shown.out


@pytest.mark.parametrize("given", [(), ("--keys", "keys.json"), ("--issuer", ISSUER)])
def test_who_has_no_profile_is_told_what_to_give_instead(
    tmp_path: Path, signing: Signing, given: tuple[str, ...]
) -> None:
    del signing
    more = [tmp_path / each if each == "keys.json" else each for each in given]
    source = ("consent", "receipt", "verify", tmp_path / "receipt.txt")
    told = creditgate_here(tmp_path / "home", *source, *more)
    assert (told.status, told.out) == (1, "")
    for words in ("--keys", "--issuer", "/consent/receipt-keys.json"):
        assert words in told.told


def test_an_altered_receipt_is_told_apart_in_one_line(tmp_path: Path, signing: Signing) -> None:
    receipt = signing.receipts.signed(granted())
    other = "A" if receipt[-9] != "A" else "B"
    (tmp_path / "receipt.txt").write_text(receipt[:-9] + other + receipt[-8:])
    told = verify(tmp_path)
    assert (told.status, told.out) == (1, "")
    assert told.told.count("\n") == 1
    assert "altered" in told.told
    assert SUBJECT not in told.told
    document = verify(tmp_path, "--json")
    assert document.status == 1
    assert "altered" in document.json["error"]["message"]


def test_keys_that_are_none_are_told_as_such(tmp_path: Path, signing: Signing) -> None:
    del signing
    for text in ("[]", "{}", '{"keys": [1]}', "no JSON"):
        (tmp_path / "keys.json").write_text(text)
        told = verify(tmp_path)
        assert told.status == 1
        assert "JWK Set" in told.told


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_subject_signs_a_receipt_with_its_own_key(
    tmp_path: Path, signing: Signing, algorithm: str
) -> None:
    own = SubjectsOwn(algorithm)
    (tmp_path / "own.pem").write_bytes(own.pem)
    command = ("consent", "receipt", "countersign", tmp_path / "receipt.txt")
    told = creditgate_here(tmp_path / "home", *command, "--key", tmp_path / "own.pem")
    assert told.status == 0, told.told
    receipt = (tmp_path / "receipt.txt").read_text().strip()
    signing.receipts.require_signature(receipt, told.out.strip(), [own.registered])


def test_what_is_no_private_key_signs_nothing(tmp_path: Path, signing: Signing) -> None:
    del signing
    command = ("consent", "receipt", "countersign", tmp_path / "receipt.txt")
    told = creditgate_here(tmp_path / "home", *command, "--key", tmp_path / "keys.json")
    assert (told.status, told.out) == (1, "")
    assert "Ed25519" in told.told
