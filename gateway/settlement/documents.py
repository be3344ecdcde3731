"""Documents as they are kept: the same message always makes the same bytes, anywhere.

JSON of the message as Protocol Buffers map it (64-bit numbers as strings, so that no reader
rounds them), names as in the proto, keys sorted, no blanks, UTF-8.
"""

import json
from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

_Document = TypeVar("_Document", bound=Message)


def document_bytes(message: Message) -> bytes:
    """Return a message as it is kept."""
    fields = json_format.MessageToDict(message, preserving_proto_field_name=True)
    text = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode()


def message_of(document: bytes, kind: type[_Document]) -> _Document:
    """Return the message a document was made of.

    Raises ParseError where a newer version wrote a field that this one does not know: signed without
    it, the document would be another, and might convict who signed it.
    """
    return json_format.Parse(document, kind())
