"""What a key may hold, in words: `a whole number from 2 to 3600`.  Pure; for messages and for the reference."""

from typing import cast

from msgspec import inspect

Number = inspect.IntType | inspect.FloatType


def expected(kind: inspect.Type) -> str:
    """Say what a value of this type is."""
    match kind:
        case inspect.IntType():
            return f"a whole number{_range(kind)}"
        case inspect.FloatType():
            return f"a number{_range(kind)}"
        case inspect.BoolType():
            return "true or false"
        case inspect.VarTupleType():
            return 'a list of texts, as in ["a", "b"]'
        case inspect.UnionType(types=types):
            return expected(types[0])
        case inspect.Metadata(type=inner):
            return expected(inner)
        case _:
            return 'text in "quotes"'


def limits(kind: inspect.Type) -> str:
    """Give a number's bounds as a sentence, an empty text for what has none."""
    words = _range(kind).strip(" ,") if isinstance(kind, Number) else ""
    return f"{words[0].upper()}{words[1:]}." if words else ""


def is_in_range(value: float, kind: Number) -> bool:
    """Tell whether a (finite) number keeps within its type's bounds."""
    return (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
    )


def example_of(kind: inspect.Type) -> str:
    """Give a value of this type as TOML spells it, for a line that is to be added."""
    match kind:
        case inspect.Metadata():
            return f'"{listed_choices(kind)[0]}"'
        case inspect.UnionType(types=types):
            return example_of(types[0])
        case _:
            return '"…"'


def listed_choices(kind: inspect.Metadata) -> list[str]:
    """Give the names that a text may be, where its type lists them for the schema alone."""
    schema = cast("dict[str, list[str]]", kind.extra_json_schema or {})
    return schema.get("enum", ["…"])


def _range(kind: Number) -> str:
    low, above, high = kind.ge, kind.gt, kind.le
    if above is not None:
        return f" above {_plain(above)}" + ("" if high is None else f", at most {_plain(high)}")
    return "" if low is None or high is None else f" from {_plain(low)} to {_plain(high)}"


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else str(number)
