"""How a gateway tells, at the start of a stream of requests, that it wants more of them."""

from typing import Final

GO_ON: Final = ("go-on", "?1")
"""Initial metadata of a call that was not refused: a Boolean of RFC 9651, section 3.3.6.

A refusal that comes before any answer has initial metadata too, which are empty: gRPC gives a
client those of a response of trailers alone. Who sends after it may be told of a broken line
instead of why it was refused.
"""
