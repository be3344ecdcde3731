"""``creditgate alerts`` against one real gateway: unusual use is raised, and looked into."""

import asyncio
from pathlib import Path
from typing import Any

import yaml

from gateway.alerts.policy_file import SHIPPED
from tests.cli.commands import Done, creditgate_here
from tests.installation import PUBLISHER, Installation, company, eventually
from tests.server.calls import draft, publish, query


async def test_a_sweep_is_raised_and_acknowledged(embedded: Installation, tmp_path: Path) -> None:
    policy = yaml.safe_load(SHIPPED.read_text(encoding="utf-8")) | {"sweep": {"subjects_a_day": 1}}
    file = tmp_path / "alerts.yaml"
    file.write_text(yaml.safe_dump(policy), encoding="utf-8")

    async def run(*words: str) -> Done:
        return await asyncio.to_thread(creditgate_here, embedded.folder, "alerts", *words)

    async def answer(*words: str) -> Any:
        done = await run(*words, "--json")
        assert done.status == 0, done.out + done.told
        return done.json

    async def raised() -> bool:
        return bool((await answer("list")).get("alerts"))

    async with (
        embedded.running(alert_policy=file) as gateway,
        gateway.channel(PUBLISHER) as publisher,
        gateway.channel() as channel,
    ):
        await publish(publisher, [draft("r-1", company(1))])
        await query(channel, company(1))
        await eventually(raised)
        (alert,) = (await answer("list"))["alerts"]
        assert (alert["kind"], alert["threshold"]) == ("ALERT_KIND_SWEEP", "1")
        assert "sweep" in (await run("list")).out
        acknowledged = await answer("acknowledge", str(alert["alert_id"]), "--note", "a test")
        assert acknowledged["alert"]["note"] == "a test"
        assert acknowledged["alert"] in (await answer("list", "--acknowledged"))["alerts"]
