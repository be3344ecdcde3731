"""A verifier in another language judges the published answers as ours does."""

import json
from typing import Any

from tests.node.conftest import NodeClient
from tests.transparency.published import FOLDER


def test_node_judges_the_published_answers_as_they_say(node_client: NodeClient) -> None:
    file = FOLDER / "answers.json"
    done = node_client("verify_answers.mjs", file)
    assert done.returncode == 0, done.stderr
    verdicts: list[dict[str, Any]] = json.loads(done.stdout)
    published: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["answers"]
    assert len(verdicts) == len(published)
    for verdict, vector in zip(verdicts, published, strict=True):
        if vector["verifies"]:
            assert vector.items() >= verdict.items()
        else:
            # In words of its own.
            assert (verdict["name"], verdict["verifies"]) == (vector["name"], False)
            assert verdict["reason"]


def test_node_judges_the_published_cosignatures_as_they_say(node_client: NodeClient) -> None:
    file = FOLDER / "cosignatures.json"
    done = node_client("verify_cosignatures.mjs", file)
    assert done.returncode == 0, done.stderr
    verdicts: list[dict[str, Any]] = json.loads(done.stdout)
    published: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["notes"]
    assert len(verdicts) == len(published)
    for verdict, vector in zip(verdicts, published, strict=True):
        if vector["verifies"]:
            assert vector.items() >= verdict.items()
        else:
            assert (verdict["name"], verdict["verifies"]) == (vector["name"], False)
