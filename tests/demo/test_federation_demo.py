"""`make demo-federation`: three regions on one machine, each with its own keys and store."""

from pathlib import Path

import pytest

from tests.cli.commands import creditgate


@pytest.mark.soak
def test_the_demo_of_the_federation_goes_as_it_tells(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    told = creditgate(home, "demo", "--federation", "--json").json
    assert told["ok"], [step for step in told["steps"] if not step["ok"]]
    assert len(told["steps"]) >= 16
    places = {path.name for path in (home / "demo-federation").iterdir()}
    assert {"anchor", "north", "south", "west"} <= places
