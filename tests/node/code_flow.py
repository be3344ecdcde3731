"""A Node client in the code flow, with a person (or a browser) deciding in between."""

import asyncio
import json
import ssl
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from tests.installation import Gateway
from tests.node.conftest import NodeCommand
from tests.parties import Party

Decision = Callable[[str], Awaitable[str]]
"""Given the authorisation URL, returns the URL the browser came back to the client with."""


async def told(
    node_command: NodeCommand, gateway: Gateway, party: Party, decide: Decision, **more: Any
) -> dict[str, Any]:
    """Run the flow as ``party`` and return what each of the client's steps gave.

    ``more`` tells the client more: ``subject`` is whom it asks about.
    """
    file = party.folder / "party.json"
    file.write_text(json.dumps(party.document(gateway, **more)))
    command = node_command("code_client.mjs", file)
    client = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert client.stdout is not None
    try:
        first = json.loads(await asyncio.wait_for(client.stdout.readline(), 30))
        if "authorization_url" in first:
            back = await decide(first["authorization_url"])
            rest, errors = await asyncio.wait_for(client.communicate(f"{back}\n".encode()), 30)
            assert client.returncode in (0, 2), errors.decode()
            return {**first, **json.loads(rest)}
        return first
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()


async def sent_to(gateway: Gateway, url: str) -> str:
    """Open an authorisation URL as a browser does and return the id of the interaction."""
    trust = ssl.create_default_context(cafile=gateway.running.ca)
    async with httpx.AsyncClient(verify=trust) as browser:
        answer = await browser.get(url)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].rpartition("/")[2]
