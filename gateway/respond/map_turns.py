"""Asks of the map gathered for a turn: under load a call pays a share of one reading."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from gateway.transparency.map_reader import FEW, MapReader
from gateway.transparency.map_sets import MapProofs, SubjectAsk


class _Waiting(NamedTuple):
    ask: SubjectAsk
    done: "asyncio.Future[MapProofs]"


class MapTurns:
    """A map in front of which single asks gather; one event loop's own."""

    def __init__(self, map_reader: MapReader) -> None:
        self._map = map_reader
        self._waiting: list[_Waiting] = []
        self._readings: set[asyncio.Task[None]] = set()

    async def proofs(self, asks: Sequence[SubjectAsk]) -> MapProofs:
        """As `MapReader.proofs`."""
        if len(asks) != 1:
            return await self._map.proofs(asks)
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._turn)
        done: asyncio.Future[MapProofs] = loop.create_future()
        self._waiting.append(_Waiting(asks[0], done))
        return await done

    def _turn(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), FEW):
            reading = asyncio.get_running_loop().create_task(
                self._read(waiting[start : start + FEW]), name="map-reading"
            )
            self._readings.add(reading)
            reading.add_done_callback(self._readings.discard)

    async def _read(self, waiting: Sequence[_Waiting]) -> None:
        try:
            found = await self._map.proofs([each.ask for each in waiting])
        except Exception as error:
            if len(waiting) > 1:
                # What ails one must not fail the others.
                for each in waiting:
                    await self._read([each])
            elif not waiting[0].done.done():
                waiting[0].done.set_exception(error)
            return
        for each, sets in zip(waiting, found.subjects, strict=True):
            if not each.done.done():
                each.done.set_result(found._replace(subjects=(sets,)))
