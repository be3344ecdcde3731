"""``creditgate alerts`` against one real gateway: unusual use is raised, and looked into."""

import time
from pathlib import Path

import yaml

from gateway.alerts.policy_file import SHIPPED
from tests.cli.commands import Served, served_demo

ADMINISTRATOR, ALPHA = "administrator", "alpha-client"
QUERY = ("query", "91000000DEM000011A", "--purpose", "credit-approval")
SECONDS = 30


def raised(served: Served) -> list[dict[str, object]]:
    """Return the alerts once there are some."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        if found := served.answer(ADMINISTRATOR, "alerts", "list").get("alerts"):
            return list(found)
        time.sleep(0.5)
    return []


def test_a_sweep_is_raised_and_acknowledged(tmp_path: Path) -> None:
    policy = yaml.safe_load(SHIPPED.read_text(encoding="utf-8")) | {"sweep": {"subjects_a_day": 1}}
    file = tmp_path / "alerts.yaml"
    file.write_text(yaml.safe_dump(policy), encoding="utf-8")
    with served_demo(tmp_path / "home", ALERT_POLICY=str(file)) as served:
        served.answer(ALPHA, *QUERY)
        alert = raised(served)[0]
        assert (alert["kind"], alert["threshold"]) == ("ALERT_KIND_SWEEP", "1")
        assert "sweep" in served.run(ADMINISTRATOR, "alerts", "list").out
        acknowledge = ("alerts", "acknowledge", str(alert["alert_id"]), "--note", "a test")
        done = served.answer(ADMINISTRATOR, *acknowledge)["alert"]
        assert done["note"] == "a test"
        told = served.answer(ADMINISTRATOR, "alerts", "list", "--acknowledged")["alerts"]
        assert done in told
