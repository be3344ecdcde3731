"""The protos as a tree of names, types and comments, for the reference pages.

Read from a descriptor set with source info, so pages and protos cannot tell
different stories.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)
from grpc_tools import protoc

from creditgate.v1 import authorization_pb2

PROTOS: Final = Path(__file__).resolve().parents[1] / "protos"
_PACKAGE: Final = ".creditgate.v1."

# Where a comment hangs: field numbers and indexes down from FileDescriptorProto
# (descriptor.proto, SourceCodeInfo.Location.path).
_Path = tuple[int, ...]
_Comments = Mapping[_Path, str]
_File = FileDescriptorProto
_SYNTAX: Final = (_File.SYNTAX_FIELD_NUMBER,)
_PACKAGE_LINE: Final = (_File.PACKAGE_FIELD_NUMBER,)


@dataclass(frozen=True, slots=True)
class Value:
    """One value of an enum."""

    name: str
    number: int
    comment: str


@dataclass(frozen=True, slots=True)
class Enum:
    """A closed list of values."""

    name: str
    comment: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One field; ``type`` is a scalar name or a message or enum name without package."""

    name: str
    number: int
    type: str
    repeated: bool
    choice: str
    comment: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message and its fields; ``Field.choice`` names the oneof a field belongs to."""

    name: str
    comment: str
    fields: tuple[Field, ...]
    choices: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Method:
    """An rpc; ``scope`` is "" where it asks for no token."""

    name: str
    comment: str
    scope: str
    request: str
    response: str
    request_streams: bool
    response_streams: bool


@dataclass(frozen=True, slots=True)
class Service:
    """A service and its methods, in order of the proto."""

    name: str
    comment: str
    methods: tuple[Method, ...]


@dataclass(frozen=True, slots=True)
class File:
    """One proto file; ``name`` is its stem, for example ``usage_service``."""

    name: str
    comment: str
    services: tuple[Service, ...]
    messages: tuple[Message, ...]
    enums: tuple[Enum, ...]


def documented_files() -> tuple[File, ...]:
    """Return every file of the contract, by name.

    Raises RuntimeError when the compiler refuses a proto.
    """
    with TemporaryDirectory() as folder:
        image = Path(folder) / "image.binpb"
        status = protoc.main(
            [
                "protoc",
                f"-I{PROTOS}",
                f"-I{files('grpc_tools') / '_proto'}",
                "--include_source_info",
                f"--descriptor_set_out={image}",
                *sorted(str(path) for path in PROTOS.glob("creditgate/v1/*.proto")),
            ]
        )
        if status != 0:
            raise RuntimeError("protoc refused the protos; its message stands above")
        described = FileDescriptorSet.FromString(image.read_bytes())
    return tuple(_file(file) for file in sorted(described.file, key=lambda file: file.name))


def _file(file: FileDescriptorProto) -> File:
    comments = {
        tuple(location.path): _prose(location.leading_comments)
        for location in file.source_code_info.location
    }
    return File(
        name=Path(file.name).stem,
        comment=comments.get(_SYNTAX) or comments.get(_PACKAGE_LINE, ""),
        services=tuple(
            _service(service, (_File.SERVICE_FIELD_NUMBER, index), comments)
            for index, service in enumerate(file.service)
        ),
        messages=tuple(
            _message(message, (_File.MESSAGE_TYPE_FIELD_NUMBER, index), comments)
            for index, message in enumerate(file.message_type)
        ),
        enums=tuple(
            _enum(enum, (_File.ENUM_TYPE_FIELD_NUMBER, index), comments)
            for index, enum in enumerate(file.enum_type)
        ),
    )


def _prose(comment: str) -> str:
    return " ".join(line.strip() for line in comment.splitlines()).strip()


def _service(service: ServiceDescriptorProto, path: _Path, comments: _Comments) -> Service:
    at = (*path, ServiceDescriptorProto.METHOD_FIELD_NUMBER)
    return Service(
        name=service.name,
        comment=comments.get(path, ""),
        methods=tuple(
            _method(method, comments.get((*at, index), ""))
            for index, method in enumerate(service.method)
        ),
    )


def _method(method: MethodDescriptorProto, comment: str) -> Method:
    scope: str = method.options.Extensions[authorization_pb2.scope]
    return Method(
        name=method.name,
        comment=comment,
        scope=scope,
        request=_short(method.input_type),
        response=_short(method.output_type),
        request_streams=method.client_streaming,
        response_streams=method.server_streaming,
    )


def _message(message: DescriptorProto, path: _Path, comments: _Comments) -> Message:
    if message.nested_type or message.enum_type:
        raise RuntimeError(f"{message.name} nests types; the contract keeps them flat")
    fields = (*path, DescriptorProto.FIELD_FIELD_NUMBER)
    choices = (*path, DescriptorProto.ONEOF_DECL_FIELD_NUMBER)
    return Message(
        name=message.name,
        comment=comments.get(path, ""),
        fields=tuple(
            _field(field, message, comments.get((*fields, index), ""))
            for index, field in enumerate(message.field)
        ),
        choices=tuple(
            (choice.name, comments.get((*choices, index), ""))
            for index, choice in enumerate(message.oneof_decl)
            # Of a single field that may be left out the compiler makes a choice of its own.
            if not choice.name.startswith("_")
        ),
    )


def _field(field: FieldDescriptorProto, message: DescriptorProto, comment: str) -> Field:
    in_choice = field.HasField("oneof_index") and not field.proto3_optional
    return Field(
        name=field.name,
        number=field.number,
        type=_short(field.type_name) or _scalar(field),
        repeated=field.label == FieldDescriptorProto.LABEL_REPEATED,
        choice=message.oneof_decl[field.oneof_index].name if in_choice else "",
        comment=comment,
    )


def _scalar(field: FieldDescriptorProto) -> str:
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _short(type_name: str) -> str:
    return type_name.removeprefix(_PACKAGE).removeprefix(".")


def _enum(enum: EnumDescriptorProto, path: _Path, comments: _Comments) -> Enum:
    at = (*path, EnumDescriptorProto.VALUE_FIELD_NUMBER)
    return Enum(
        name=enum.name,
        comment=comments.get(path, ""),
        values=tuple(
            Value(name=value.name, number=value.number, comment=comments.get((*at, index), ""))
            for index, value in enumerate(enum.value)
        ),
    )
