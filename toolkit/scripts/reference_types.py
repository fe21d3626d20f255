"""What the types of settings and records say about themselves: keys, types, defaults and meanings."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from types import NoneType, UnionType
from typing import Any, Literal, TypeAliasType, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Decimal: "US dollars",
    SecretStr: "text",
}
SIGNS = {"gt": ">\u00a0", "ge": "≥\u00a0", "le": "≤\u00a0"}  # a line does not end between sign and number


def meanings(kind: type) -> dict[str, str]:
    """Return the docstrings under the fields of a class and of its bases."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if not each.__module__.startswith("ai_base."):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
        lines = getattr(body, "body", [])
        for field, text in pairwise(lines):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    return found


def parts_of(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the tables of a configuration, with their paths, outer ones first."""
    for name, field in model.model_fields.items():
        inner = next((each for each in _flat(field.annotation) if isinstance(each, type)), None)
        if inner is None or not issubclass(inner, BaseModel):
            continue
        named = get_origin(_bare(field.annotation)) is dict
        here = f"{path}{name}{'.NAME' if named else ''}"
        yield here, inner
        yield from parts_of(inner, f"{here}.")


def rows_of(model: type[BaseModel], *, variables: bool = False) -> Iterator[tuple[str, str, str, str]]:
    """Yield key, type, default and meaning of each field that is no table.

    Raises:
        SystemExit: A field has no meaning.
    """
    docs = meanings(model)
    for name, field in model.model_fields.items():
        if name not in docs:
            raise SystemExit(f"{model.__name__}.{name} has no docstring: the reference would not say what it means")
        yield f"`{name.upper() if variables else name}`", type_of(field), default_of(field), docs[name]


def type_of(field: FieldInfo) -> str:
    """Say in words what a field accepts."""
    kinds = [each for each in _flat(field.annotation) if each is not NoneType]
    if literals := [each for each in kinds if isinstance(each, str)]:
        return " or ".join(f"`{each}`" for each in literals)
    if any(isinstance(each, type) and issubclass(each, BaseModel) for each in kinds):
        return "table"
    limits = [
        f"{sign}{getattr(rule, name):,}"
        for rule in [*field.metadata, *_rules(field.annotation)]
        for name, sign in SIGNS.items()
        if getattr(rule, name, None) is not None
    ]
    return ", ".join([" or ".join(WORDS.get(each, "path") for each in kinds), *limits])


def default_of(field: FieldInfo) -> str:
    """Return the default as one writes it in TOML."""
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if value is PydanticUndefined:
        return "required"
    if value is None or isinstance(value, dict | BaseModel):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:,}`".replace(",", "_") if isinstance(value, int | float) else f'`"{value}"`'


def described(value: object) -> bool:
    """Whether an object is a class or a function with a docstring of its own."""
    return (inspect.isclass(value) or inspect.isfunction(value)) and bool(value.__doc__)


def _bare(kind: Any) -> Any:  # noqa: ANN401 - any annotation
    """Return an annotation without its alias and its rules."""
    if isinstance(kind, TypeAliasType):
        return _bare(kind.__value__)
    return _bare(get_args(kind)[0]) if hasattr(kind, "__metadata__") else kind


def _flat(kind: Any) -> list[Any]:  # noqa: ANN401
    """Return the classes and literal values that an annotation is made of."""
    bare = _bare(kind)
    if get_origin(bare) is Literal:
        return list(get_args(bare))
    if get_origin(bare) in (Union, UnionType, dict, list):
        members = get_args(bare)[1:] if get_origin(bare) is dict else get_args(bare)
        return [each for member in members for each in _flat(member)]
    return [bare]


def _rules(kind: Any) -> list[Any]:  # noqa: ANN401
    """Return the rules of an annotation, such as bounds."""
    if isinstance(kind, TypeAliasType):
        return _rules(kind.__value__)
    if hasattr(kind, "__metadata__"):
        own = [rule for each in kind.__metadata__ for rule in getattr(each, "metadata", [each])]
        return [*own, *_rules(get_args(kind)[0])]
    return [rule for each in get_args(kind) for rule in _rules(each)]
