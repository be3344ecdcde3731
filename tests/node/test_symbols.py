"""Another language makes the same symbols of the same copies."""

import json

from tests.node.conftest import NodeClient
from tests.reconcile.test_symbols import VECTORS


def test_node_makes_the_published_symbols(node_client: NodeClient) -> None:
    done = node_client("symbols.mjs", VECTORS)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))
    assert told["elements"] == [copy["element"] for copy in vectors["copies"]]
    assert told["indices"] == [copy["symbols"] for copy in vectors["copies"]]
    assert told["symbols"] == vectors["symbols"]
