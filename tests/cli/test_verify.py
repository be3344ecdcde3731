"""Saved answers verified by the command, offline: the published ones, whole or tampered with."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsRequest
from sdk.answers import KeptAnswer
from tests.cli.commands import Done, run_here
from tests.transparency.published import FOLDER

PUBLISHED: dict[str, Any] = json.loads((FOLDER / "answers.json").read_text(encoding="utf-8"))
VECTORS: dict[str, Any] = {vector["name"]: vector for vector in PUBLISHED["answers"]}


def saved(name: str, folder: Path) -> Path:
    """Save a published answer as the SDK does."""
    vector = VECTORS[name]
    file = folder / "response.bin"
    parts = tuple(b64decode(each) for each in vector["parts"])
    KeptAnswer(b64decode(vector["request"]), parts).write(file)
    return file


def verify(file: Path, *arguments: str, key: str = PUBLISHED["key"]) -> Done:
    """Run the command."""
    return run_here("verify", str(file), "--key", key, *arguments)


@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if vector["verifies"]])
def test_saved_answer_is_told_what_it_proves(tmp_path: Path, name: str) -> None:
    vector = VECTORS[name]
    done = verify(saved(name, tmp_path), "--json")
    assert done.status == 0, done.out + done.told
    told = json.loads(done.out)
    assert (told["proof"], told["request_checked"]) == (vector["kind"].lower(), True)
    assert [record["name"] for record in told["records"]] == vector["records"]
    assert [
        (each["subject"], each["items"], each["protected_items"]) for each in told["subjects"]
    ] == [(each["subject"], each["items"], each["protected"]) for each in vector["subjects"]]
    assert told["checkpoint"]["size"] == vector["tree_size"]
    assert (told["map"] is None) == (vector["kind"] == "INCLUSION")


def test_saved_answer_is_shown_to_people(tmp_path: Path) -> None:
    file = saved("complete: two records of an item", tmp_path)
    done = verify(file)
    assert done.status == 0
    for text in ("records/a-1", "Complete for", "proved", "gateway.example/disclosure"):
        assert text in done.out


def test_of_protected_items_it_is_told_that_nothing_else_is_the_gateways_word(
    tmp_path: Path,
) -> None:
    file = saved("complete: public and protected items", tmp_path)
    told = " ".join(verify(file).out.split())
    assert "that nothing was left out of tax of" in told
    (named,) = json.loads(verify(file, "--json").out)["complete_on_the_gateways_word"]
    assert named["item"] == "tax"
    public = verify(saved("complete: two records of an item", tmp_path)).out
    assert "gateway's word" not in public


def test_tampered_answer_is_told_from_a_whole_one(tmp_path: Path) -> None:
    file = saved("complete: a chunk in two parts", tmp_path)
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        path.write_bytes(whole[:40] + bytes((whole[40] ^ 1,)) + whole[41:])
        done = verify(file)
        assert done.status == 1, path
        assert "does not verify" in done.out + done.told
        path.write_bytes(whole)
    (tmp_path / "response.bin.2").unlink()
    assert verify(file).status == 1


@pytest.mark.parametrize(
    "name",
    ["a record is left out", "a record's severity is altered", "the checkpoint is an older one"],
)
def test_lie_that_the_gateway_signed_is_told_with_its_reason(tmp_path: Path, name: str) -> None:
    done = verify(saved(name, tmp_path), "--json")
    assert done.status == 1
    assert VECTORS[name]["reason"] in done.out + done.told


def test_answer_without_its_request_is_held_to_the_subjects_told(tmp_path: Path) -> None:
    name = "complete: two records of an item"
    file = saved(name, tmp_path)
    (subject,) = VECTORS[name]["subjects"]
    request = tmp_path / "other.request"
    sent = GetSubjectRecordsRequest.FromString(b64decode(VECTORS[name]["request"]))
    sent.request_id = "another"
    request.write_bytes(sent.SerializeToString())
    assert verify(file, "--request", str(request)).status == 1
    (tmp_path / "response.bin.request").unlink()
    assert verify(file, "--subject", subject["subject"]).status == 0
    assert "another subject" in verify(file, "--subject", "91000000DEM000011A").told
    assert json.loads(verify(file, "--json").out)["request_checked"] is False


def test_key_that_is_none_or_another_proves_nothing(tmp_path: Path) -> None:
    file = saved("complete: two records of an item", tmp_path)
    assert "--key" in verify(file, key="no key").told
    other = PUBLISHED["key"].replace("gateway.example", "gateway.invalid")
    assert verify(file, key=other).status == 1


def test_answer_of_fewer_parts_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    saved("complete: a chunk in two parts", tmp_path)
    assert (tmp_path / "response.bin.2").exists()
    file = saved("complete: two records of an item", tmp_path)
    assert not (tmp_path / "response.bin.2").exists()
    assert verify(file).status == 0
