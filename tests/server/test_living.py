"""A child of the gateway whose parent is gone ends without a word."""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import PIPE

import pytest

from gateway.server.policies import Policies
from gateway.server.told import Told
from tests.installation import Installation


@pytest.mark.parametrize("module", ["worker", pytest.param("keeper", marks=pytest.mark.soak)])
async def test_a_child_that_nobody_hears_any_more_ends_quietly(
    embedded: Installation, module: str
) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    said, unheard = os.pipe()
    os.close(said)
    with ours, theirs:
        told = Told(embedded.config, Policies.read(embedded.config), [theirs.fileno()])
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", f"gateway.server.{module}"),
            stdin=PIPE,
            stdout=unheard,
            stderr=PIPE,
            pass_fds=told.ends,
        )
        os.close(unheard)
        assert child.stdin is not None
        assert child.stderr is not None
        child.stdin.write(told.written())
        try:
            # Its input stays open: that it cannot speak is all it learns.
            told_last = await asyncio.wait_for(child.stderr.read(), 30)
            assert (await child.wait(), told_last) == (0, b"")
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
