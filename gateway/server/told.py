"""What a child process is told by the process that started it, over its standard input."""

import json
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final, NamedTuple, Self

from gateway.config import GatewayConfig
from gateway.server.line import Between

_LINE: Final = "line"


class Told(NamedTuple):
    """One line: settings, which may hold a password, and the sockets (descriptors it inherits)
    that are its ends of the line between those who serve and the keeper; none where it is alone.
    """

    config: GatewayConfig
    ends: Sequence[int] = ()

    def written(self) -> bytes:
        """Return the line as it is sent."""
        document: dict[str, Any] = self.config.model_dump(mode="json")
        document |= {"database": self.config.database.get_secret_value(), _LINE: [*self.ends]}
        return json.dumps(document).encode() + b"\n"

    @classmethod
    def read(cls, text: str) -> Self:
        """Return what a line tells. Raises ValueError."""
        document = json.loads(text)
        ends = document.pop(_LINE, ())
        return cls(GatewayConfig.model_validate_json(json.dumps(document)), ends)

    def line(self, stack: ExitStack) -> Between:
        """Return its end of the line, open until ``stack`` closes; on the event loop."""
        line = Between([stack.enter_context(socket.socket(fileno=end)) for end in self.ends])
        line.open()
        stack.callback(line.close)
        return line
