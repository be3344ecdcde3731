"""What a child process is told by the process that started it, over its standard input."""

import json
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final, NamedTuple, Self

from gateway.config import GatewayConfig
from gateway.server.line import Between
from gateway.server.policies import Policies

_LINE: Final = "line"
_POLICIES: Final = "policies"
_PULSE: Final = "pulse"


class Told(NamedTuple):
    """One line: settings, which may hold a password, the policies, and the sockets (descriptors
    it inherits) that are its ends of the line between those who serve and the keeper; none where
    it is alone. ``pulse`` is its end of a line to the process that started it, where that feels
    its pulse by one of its own.
    """

    config: GatewayConfig
    policies: Policies
    ends: Sequence[int] = ()
    pulse: Sequence[int] = ()

    @property
    def inherited(self) -> Sequence[int]:
        """All descriptors it needs."""
        return (*self.ends, *self.pulse)

    def written(self) -> bytes:
        """Return the line as it is sent."""
        document: dict[str, Any] = self.config.model_dump(mode="json")
        document |= {
            "database": self.config.database.get_secret_value(),
            _POLICIES: self.policies.model_dump(mode="json"),
            _LINE: [*self.ends],
            _PULSE: [*self.pulse],
        }
        return json.dumps(document).encode() + b"\n"

    @classmethod
    def read(cls, text: str) -> Self:
        """Return what a line tells; policies that it does not tell are read from their files.

        Raises ValueError, and ConfigRefused for a policy that cannot be used.
        """
        document = json.loads(text)
        ends, pulse = document.pop(_LINE, ()), document.pop(_PULSE, ())
        policies = document.pop(_POLICIES, None)
        config = GatewayConfig.model_validate_json(json.dumps(document))
        if policies is None:
            return cls(config, Policies.read(config), ends, pulse)
        return cls(config, Policies.model_validate_json(json.dumps(policies)), ends, pulse)

    def line(self, stack: ExitStack) -> Between:
        """Return its end of the line, open until ``stack`` closes; on the event loop."""
        return _opened(self.ends, stack)

    def pulse_line(self, stack: ExitStack) -> Between:
        """Return its end of the line by which it tells its pulse, open until ``stack`` closes; on
        the event loop."""
        return _opened(self.pulse, stack)


def _opened(ends: Sequence[int], stack: ExitStack) -> Between:
    line = Between([stack.enter_context(socket.socket(fileno=end)) for end in ends])
    line.open()
    stack.callback(line.close)
    return line
