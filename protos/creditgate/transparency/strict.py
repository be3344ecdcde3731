"""Messages read strictly: one message, one form of its bytes. Pure.

Protocol Buffers let the same message be written in many ways, and carry fields that the
reader does not know. What is verified is verified in its bytes, so only the one form that
gateways write is taken: known fields alone, in ascending order, each as short as it can be.
"""

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from creditgate.transparency.merkle import ProofInvalid

_Message = TypeVar("_Message", bound=Message)


def strictly(kind: type[_Message], data: bytes) -> _Message:
    """Return the message in ``data``. Raises ProofInvalid unless this is its only form."""
    name = kind.DESCRIPTOR.name
    try:
        message = kind.FromString(data)
    except DecodeError:
        raise ProofInvalid(f"the bytes are no {name}") from None
    known = kind()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    if known.SerializeToString(deterministic=True) != data:
        raise ProofInvalid(
            f"the bytes are not those a gateway writes a {name} in, or a newer one wrote them"
        )
    return message
