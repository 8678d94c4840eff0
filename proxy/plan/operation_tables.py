"""The tables of operations in presets.toml, each made from its operation, so that a new one needs no second list."""

from __future__ import annotations

from dataclasses import MISSING, fields
from enum import Enum
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity
from proxy.plan.operations import WRITTEN, Operation
from proxy.plan.preset_values import ColourText, GravityName, Sought, shown_value
from proxy.plan.region import Region


class Table(BaseModel):
    """A table of presets.toml: no unknown keys, no silent conversions."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)


class OperationTable(Table):
    """The fields of one operation, as `operations.py` declares them; checked by building the operation."""

    # Made at run time, they have no source to find docstrings in: looking through all modules took a second of a start.
    model_config = ConfigDict(use_attribute_docstrings=False)

    def build(self) -> Operation:
        """Make the operation."""
        raise NotImplementedError


def _operation_table(operation: type[Operation]) -> type[OperationTable]:
    """The model of an operation's table, made from its dataclass, so that a new operation needs no second list."""
    hints = get_type_hints(operation)
    definitions: dict[str, Any] = {
        field.name: (_annotation(hints[field.name]), _default(field.default))
        for field in fields(cast(Any, operation))  # every operation is a dataclass
        if field.metadata.get("written", True)
    }

    def build(self: OperationTable) -> Operation:
        return operation(**{name: getattr(self, name) for name in definitions})

    def buildable(self: OperationTable) -> OperationTable:
        try:
            self.build()
        except InvalidCommand as error:
            raise ValueError(error.message) from error
        return self

    return create_model(
        operation.__name__,
        __base__=type(f"{operation.__name__}Base", (OperationTable,), {"build": build}),
        __doc__=operation.__doc__,
        __validators__={"buildable": cast(Any, model_validator(mode="after")(buildable))},
        **definitions,
    )


def _default(default: object) -> Any:
    """A field's default as pydantic wants it; editors are shown colours as they are written."""
    if isinstance(default, Colour):
        return Field(default, json_schema_extra={"default": str(default)})
    return ... if default is MISSING else default


def _annotation(hint: Any) -> Any:
    """The type with which pydantic reads a field of an operation."""
    if hint == Gravity | Region:
        return Sought
    if get_origin(hint) in (Union, UnionType):
        inner = next(argument for argument in get_args(hint) if argument is not type(None))
        return Union[_annotation(inner), None]  # noqa: UP007 -- built at run time
    if hint is Colour:
        return ColourText
    if hint is Gravity:
        return GravityName
    if get_origin(hint) is tuple:
        parts = tuple(_annotation(part) if part is not Ellipsis else ... for part in get_args(hint))
        return Annotated[tuple.__class_getitem__(parts), BeforeValidator(_as_tuple)]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Annotated[hint, Field(strict=False)]
    return Annotated[hint, Field(allow_inf_nan=False)] if hint is float else hint


def _as_tuple(value: object) -> object:
    """TOML writes lists."""
    return tuple(value) if isinstance(value, list) else value


TABLES = {name.replace("-", "_"): _operation_table(operation) for name, operation in WRITTEN.items()}


def _step_schema(schema: dict[str, Any]) -> None:
    """Tell editors that a step holds exactly one operation, and that its name may be hyphenated."""
    names = schema.get("properties", {})
    schema["properties"] = names | {name.replace("_", "-"): table for name, table in names.items()}
    schema |= {"minProperties": 1, "maxProperties": 1}


class StepTable(Table):
    """One element of an `operations` list: a table with one key, the operation's name."""

    model_config = ConfigDict(json_schema_extra=_step_schema, use_attribute_docstrings=False)

    @model_validator(mode="before")
    @classmethod
    def _one_operation(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        if len(value) != 1:
            raise ValueError(f"must be a table with one operation in it, got {len(value)}")
        ((name, arguments),) = value.items()
        if name.replace("_", "-") not in WRITTEN:
            raise ValueError(f"unknown operation {shown_value(name)}; known are {', '.join(WRITTEN)}")
        return {name.replace("-", "_"): arguments}

    def build(self) -> Operation:
        """Make the operation."""
        (name,) = self.model_fields_set
        return cast(OperationTable, getattr(self, name)).build()


if TYPE_CHECKING:
    Step = StepTable
else:
    Step = create_model(
        "Step",
        __base__=StepTable,
        __doc__=StepTable.__doc__,
        **{name: (table, None) for name, table in TABLES.items()},
    )
