"""A verifier in another language judges receipts, evidence and logs of use as ours does."""

import json
from collections.abc import Sequence
from typing import Any

from tests.node.conftest import NodeClient
from tests.usage.published import FILE


def test_node_judges_the_published_use_as_they_say(node_client: NodeClient) -> None:
    done = node_client("usage.mjs", FILE)
    assert done.returncode == 0, done.stderr
    told: dict[str, Sequence[dict[str, Any]]] = json.loads(done.stdout)
    published: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    for kind in ("answers", "evidence"):
        assert len(told[kind]) == len(published[kind])
        for verdict, vector in zip(told[kind], published[kind], strict=True):
            # Why not, each tells in words of its own.
            verdict.pop("reason", None)
            assert vector.items() >= verdict.items()
    assert told["logs"] == [
        {"name": log["name"], "differences": log["differences"]} for log in published["logs"]
    ]
