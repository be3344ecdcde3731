"""``creditgate-verify``: what was kept, verified with nothing but pinned keys."""

import json
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from creditgate.conformance_certificate import CERTIFICATE_TYPE, STATUS_TYPE
from creditgate.transparency.note import Checkpoint, checkpoint_body, signed
from creditgate.transparency.verify import answer_of
from sdk.verifying import main
from tests.clock import NOW
from tests.consents.receipts import ISSUER, Signing
from tests.copies.test_certificates import CERTIFICATE
from tests.transparency.keys import key_of

ROOT = Path(__file__).parents[2]
LOG = key_of("gateway.test/log/disclosure")
NOTE = signed(checkpoint_body(Checkpoint(LOG.verifier.name, 7, bytes(32))), LOG)
CERTIFIED = CERTIFICATE.model_copy(update={"checkpoint": NOTE})


class Folder:
    """A folder with what somebody was handed, and what they pinned."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signing = Signing(folder)
        self.signing.add("ES256")
        self.text = self.kept("certificate", CERTIFIED.as_json(), CERTIFICATE_TYPE)
        self.write("keys", json.dumps(self.signing.published))

    def write(self, name: str, text: str) -> str:
        """Keep a file."""
        (self.folder / name).write_text(text, encoding="utf-8")
        return text

    def kept(self, name: str, claims: dict[str, object], typ: str) -> str:
        """Keep a document that the gateway signed."""
        return self.write(name, self.signing.keys.sign(self.signing.book, claims, typ, NOW))

    def status(self, state: str) -> None:
        """Keep the signed status of the certificate."""
        digest = sha256(self.text.encode()).hexdigest()
        said = {"iss": ISSUER, "iat": NOW, "schema_version": "1", "jti": CERTIFIED.jti}
        self.kept("status", {**said, "document_digest": digest, "state": state}, STATUS_TYPE)

    def verify(self, kind: str, *more: str, at: int = NOW) -> int:
        """Verify what is kept under the name of its kind; return the exit status."""
        words = [kind, str(self.folder / kind), "--key", str(LOG.verifier)]
        if kind != "checkpoint":
            words += ["--keys", str(self.folder / "keys")]
        return main([*words, *more], lambda: at)

    @property
    def with_status(self) -> tuple[str, str]:
        """The option that names the kept status."""
        return "--status", str(self.folder / "status")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A certificate and the keys it is verified by."""
    return Folder(tmp_path)


def test_a_certificate_is_verified_by_the_keys_that_were_pinned(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert folder.verify("certificate") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["certificate"] == CERTIFIED.as_json()
    assert found["checkpoint"] == {"origin": LOG.verifier.name, "size": 7}
    assert found["status"] is None
    folder.status("valid")
    assert folder.verify("certificate", *folder.with_status) == 0
    assert json.loads(capsys.readouterr().out)["status"]["iat"] == NOW


@pytest.mark.parametrize("state", ["withdrawn", "superseded", "unproven", "expired"])
def test_a_certificate_that_fell_ends_with_1(
    folder: Folder, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.status(state)
    assert folder.verify("certificate", *folder.with_status) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert state in told.err


def test_a_status_that_is_old_tells_nothing(folder: Folder) -> None:
    folder.status("valid")
    assert folder.verify("certificate", *folder.with_status, at=NOW + 3_600) == 0
    assert folder.verify("certificate", *folder.with_status, at=NOW + 3_601) == 1
    longer = ("--freshness", "4000")
    assert folder.verify("certificate", *folder.with_status, *longer, at=NOW + 3_601) == 0


def test_a_checkpoint_is_verified(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.write("checkpoint", NOTE)
    assert folder.verify("checkpoint") == 0
    assert json.loads(capsys.readouterr().out)["size"] == 7
    folder.write("checkpoint", NOTE.replace("\n7\n", "\n8\n"))
    assert folder.verify("checkpoint") == 1


def test_what_is_no_document_and_what_is_missing_end_with_1_and_one_line(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write("report", "nothing")
    assert folder.verify("report") == 1
    assert main(["answer", str(folder.folder / "none"), "--key", str(LOG.verifier)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "Traceback" not in told.err


def test_what_cannot_be_asked_ends_with_2(folder: Folder) -> None:
    for more in (["--freshness", "0"], ["--freshness", "x"], ["--unknown"]):
        with pytest.raises(SystemExit) as ended:
            folder.verify("certificate", *more)
        assert ended.value.code == 2


def test_a_checkpoint_is_verified_with_the_witnesses_that_were_pinned(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    published = json.loads(
        (Path(__file__).parents[1] / "transparency" / "vectors" / "cosigned.json").read_text()
    )
    file = folder.folder / "cosigned"
    file.write_text(published["note"], encoding="utf-8")
    words = ["checkpoint", str(file), "--key", published["log"]]
    witnesses = [word for key in published["witnesses"] for word in ("--witness", key)]
    at = published["cosigned_at"]
    assert main(words, lambda: at) == 0
    assert json.loads(capsys.readouterr().out)["quorum"] == 0
    assert main([*words, *witnesses], lambda: at) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cosigned"] == dict.fromkeys(published["witnesses"], at)
    assert found["quorum"] == 2
    assert main([*words, *witnesses, "--quorum", "4"], lambda: at) == 1
    assert "cannot be kept" in capsys.readouterr().err
    assert main([*words, *witnesses], lambda: at - 86_400) == 1
    assert "cosign a checkpoint 0 have" in capsys.readouterr().err


VECTORS = json.loads((ROOT / "docs" / "vectors" / "answers.json").read_text(encoding="utf-8"))


def verified_vector(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Verify an answer of the published vectors; return what is told of it."""
    (vector,) = (each for each in VECTORS["answers"] if each["name"] == name)
    (part,) = vector["parts"]
    (folder / "answer").write_bytes(b64decode(part))
    served = answer_of(b64decode(part)).receipt.serve_time.seconds
    assert (
        main(["answer", str(folder / "answer"), "--key", VECTORS["key"]], lambda: served + 7) == 0
    )
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["served_at"], found["age_seconds"]) == (served, 7)
    assert found["map"]["since"] <= served < found["map"]["until"]
    return found


def test_an_answer_of_which_a_record_is_withheld_is_not_called_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = verified_vector("complete: items not named, of one withheld", tmp_path, capsys)
    (proved,) = found["proved"]
    assert sum(proved["withheld"].values()) == 1
    assert found["complete"] is False
    assert len(found["records"]) == 2


def test_an_answer_tells_what_it_is_all_of_and_what_is_the_gateways_word_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = verified_vector("complete: no record of an item", tmp_path, capsys)
    assert (found["complete"], found["records"]) == (True, [])
    assert [each["items"] for each in found["proved"]] == [["blacklist"]]
    assert found["complete_on_the_gateways_word"] == []
    found = verified_vector("complete: no record of a protected item", tmp_path, capsys)
    (absent,) = found["complete_on_the_gateways_word"]
    assert absent["item"] == "wages"
    found = verified_vector("complete: public and protected items", tmp_path, capsys)
    assert [each["item"] for each in found["complete_on_the_gateways_word"]] == ["tax"]
