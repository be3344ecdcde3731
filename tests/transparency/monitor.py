"""The files of a running gateway's disclosure log, as a monitor reads them."""

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx

from creditgate.transparency.merkle import leaf_hash
from creditgate.transparency.note import Checkpoint, VerifierKey, open_checkpoint
from creditgate.transparency.tiles import TILE_WIDTH, Tile, entries_of, hashes_of, tile_path
from creditgate.v1.disclosure_proof_pb2 import DisclosureLogEntry
from tests.installation import Gateway, eventually

IMMUTABLE = "public, max-age=31536000, immutable"


@asynccontextmanager
async def files_of(gateway: Gateway, log: str = "disclosure") -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client without certificate or token, at the files of a log."""
    trusting = ssl.create_default_context(cafile=str(gateway.installation.home.ca))
    base = f"{gateway.running.issuer}/log/{log}/"
    async with httpx.AsyncClient(verify=trusting, base_url=base) as client:
        yield client


async def checkpoint_of(files: httpx.AsyncClient) -> Checkpoint:
    """Return the newest checkpoint by the key that the gateway publishes."""
    key = VerifierKey.parse((await files.get("key")).text)
    return open_checkpoint((await files.get("checkpoint")).text, key)


async def entries(files: httpx.AsyncClient, size: int) -> list[bytes]:
    """Read all entries of a tree, checking that its tiles are theirs."""
    found: list[bytes] = []
    for number in range(-(-size // TILE_WIDTH)):
        width = min(TILE_WIDTH, size - number * TILE_WIDTH)
        bundle = await files.get(tile_path(Tile(None, number, width)))
        tile = await files.get(tile_path(Tile(0, number, width)))
        assert tile.headers["Cache-Control"] == bundle.headers["Cache-Control"] == IMMUTABLE
        some = entries_of(bundle.content)
        assert hashes_of(tile.content) == [leaf_hash(entry) for entry in some]
        found += some
    return found


async def _last(files: httpx.AsyncClient, size: int) -> bytes:
    number = (size - 1) // TILE_WIDTH
    bundle = await files.get(tile_path(Tile(None, number, size - number * TILE_WIDTH)))
    return entries_of(bundle.content)[-1]


async def logged(files: httpx.AsyncClient, events: int) -> Checkpoint:
    """Wait for a checkpoint that covers so many events; return it."""

    async def covers() -> bool:
        response = await files.get("checkpoint")
        if response.status_code == 404:
            return False
        last = DisclosureLogEntry.FromString(await _last(files, (await checkpoint_of(files)).size))
        return last.map_head.event_sequence >= events

    await eventually(covers, 15.0)
    return await checkpoint_of(files)
