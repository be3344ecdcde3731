"""A link on which real packets are lost, doubled, delayed and overtake one another.

Linux needs no module for it: a TUN device gives this program every packet sent to `THERE`, and
takes it back with both addresses swapped, as one that `THERE` sent here. To swap them changes no
checksum (RFC 1071), so that whoever connects to a port of `THERE` meets who listens on that port
of `HERE`, and between them is a network as bad as wanted. Addresses are those of tests of
networks (RFC 2544).
"""

import asyncio
import fcntl
import os
import random
import struct
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

HERE: Final = "198.18.77.1"
THERE: Final = "198.18.77.2"
_NAME: Final = "cgfaults"
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN: Final = 0x0001
_IFF_NO_PI: Final = 0x1000
_MOST: Final = 65_536
_IPV4: Final = 4
_LEAST: Final = 20


class NoLink(Exception):
    """This machine does not let the tests make a network device."""


@dataclass
class Link:
    """What becomes of packets: chances from 0 to 1, and at most so many seconds under way."""

    device: int
    chance: random.Random
    loss: float = 0.0
    doubled: float = 0.0
    longest: float = 0.0
    passed: int = 0
    lost: int = 0

    def arrive(self) -> None:
        """Take the packets that wait, and let each have its fate."""
        with suppress(BlockingIOError):
            while True:
                packet = os.read(self.device, _MOST)
                if len(packet) < _LEAST or packet[0] >> 4 != _IPV4:
                    continue
                swapped = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
                if self.chance.random() < self.loss:
                    self.lost += 1
                    continue
                for _ in range(1 + (self.chance.random() < self.doubled)):
                    later = self.chance.uniform(0, self.longest)
                    asyncio.get_running_loop().call_later(later, self._deliver, swapped)

    def _deliver(self, packet: bytes) -> None:
        self.passed += 1
        # A device that was taken down has nobody to deliver to.
        with suppress(OSError):
            os.write(self.device, packet)


@contextmanager
def open_link(chance: random.Random) -> Generator[Link]:
    """Give a link without faults on this event loop. Raises NoLink."""
    try:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        raise NoLink(f"/dev/net/tun cannot be opened: {error.strerror}") from None
    try:
        try:
            wanted = struct.pack("16sH22x", _NAME.encode(), _IFF_TUN | _IFF_NO_PI)
            fcntl.ioctl(device, _TUNSETIFF, wanted)
            _ip("addr", "add", f"{HERE}/30", "dev", _NAME)
            _ip("link", "set", _NAME, "up")
        except (OSError, subprocess.CalledProcessError) as error:
            raise NoLink(f"a TUN device cannot be made: {error}") from None
        link = Link(device, chance)
        loop = asyncio.get_running_loop()
        loop.add_reader(device, link.arrive)
        try:
            yield link
        finally:
            loop.remove_reader(device)
    finally:
        os.close(device)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
