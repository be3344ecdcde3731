"""Call any method as grpcurl does: what the server has and takes is learnt by reflection.

The flags are grpcurl's own, so that either can be used:

    grpcurl.py -cacert FILE -cert FILE -key FILE ADDRESS list
    grpcurl.py -cacert FILE -cert FILE -key FILE -H 'authorization: Bearer ...' -d JSON \\
        ADDRESS creditgate.v1.CreditRecordService/GetSubjectRecords

No generated stub is needed. A refusal goes to standard error with exit status 1.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToJson, ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from sdk.proxies import channel_options
from sdk.refusals import explain

_SECONDS = 30


def main() -> None:
    """Do what the command line asks."""
    asked = _arguments()
    credentials = grpc.ssl_channel_credentials(
        asked.cacert.read_bytes(), asked.key.read_bytes(), asked.cert.read_bytes()
    )
    options = channel_options(asked.address)
    with grpc.secure_channel(asked.address, credentials, options=options) as channel:
        try:
            if asked.symbol == "list":
                known = ProtoReflectionDescriptorDatabase(channel).get_services()
                sys.stdout.writelines(f"{name}\n" for name in sorted(known))
                return
            for answer in _answers(channel, asked):
                sys.stdout.write(MessageToJson(answer, ensure_ascii=False) + "\n")
        except grpc.RpcError as error:
            raise SystemExit(str(explain(error))) from None
        except (KeyError, ParseError, ValueError) as error:
            raise SystemExit(f"{asked.symbol} cannot be called so: {error}") from None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("grpcurl.py", description="Call a method by reflection.")
    for name in ("-cacert", "-cert", "-key"):
        parser.add_argument(name, type=Path, required=True, metavar="FILE", help="a PEM file")
    parser.add_argument("-H", dest="headers", action="append", default=[], metavar="NAME: VALUE")
    parser.add_argument("-d", dest="request", default="{}", metavar="JSON", help="the request")
    parser.add_argument("address", help="host:port")
    parser.add_argument("symbol", help='"list", or package.Service/Method')
    return parser.parse_args()


def _answers(channel: grpc.Channel, asked: argparse.Namespace) -> Iterable[Message]:
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    service, _, name = asked.symbol.partition("/")
    method: MethodDescriptor = pool.FindServiceByName(service).methods_by_name[name]
    if method.client_streaming:
        raise ValueError("it takes a stream; this example sends one request")
    request = ParseDict(
        json.loads(asked.request), GetMessageClass(method.input_type)(), descriptor_pool=pool
    )
    # A call with one answer is a stream of one, as far as the wire goes.
    call: Any = channel.unary_stream(
        f"/{asked.symbol}",
        request_serializer=_serialised,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    headers = [header.partition(":") for header in asked.headers]
    metadata = [(name.strip().lower(), value.strip()) for name, _, value in headers]
    return call(request, metadata=metadata, timeout=_SECONDS)


def _serialised(message: Message) -> bytes:
    return message.SerializeToString()


if __name__ == "__main__":
    main()
