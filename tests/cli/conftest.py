"""What tests of commands share: one gateway with demo data."""

from collections.abc import Iterator

import pytest

from tests.cli.commands import Served, served_demo


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway with demo data, shared: whoever changes what others may see changes it back."""
    with served_demo(tmp_path_factory.mktemp("cli") / "home") as served:
        yield served
