"""No example of asking is of what happens to one subject in a hundred."""

import pytest

from gateway.federation.asking import service
from tests.federation.asking import test_routing


@pytest.fixture(autouse=True)
def nobody_is_doubted_by_chance(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Believe every directory; how many are not is told by a test of its own."""
    if request.module.__name__ != test_routing.__name__:
        monkeypatch.setattr(service, "DOUBTED_ONE_IN", 1 << 62)
