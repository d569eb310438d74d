"""Options as fields of a frozen dataclass: words, default and limits of each written once.

The command line, notebooks and tests make the same object; it refuses what is out of range. A
field's words are the docstring under it, and stand in ``--help`` as they are.
"""

import ast
import dataclasses
import shlex
import sys
import typing
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["Leaf", "Options", "Rule", "leaves", "make", "option", "part_of", "typed",
           "words_of"]

T = TypeVar("T")
Names = Callable[[], Sequence[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What a field's type does not say."""

    metavar: str = ""
    """What stands for the value in the help."""
    flag: str = ""
    """Its name on the command line where that is not the field's."""
    off: str = ""
    """Of a yes or no: the name of no, where that is not ``--no-`` and its own."""
    choices: Names | None = None
    """All values that it may have."""
    names: Names | None = None
    """Values that are known by name; any other is the path of a file."""
    least: float | None = None
    """Smallest value."""
    most: float | None = None
    """Largest value."""
    above: float | None = None
    """Every value is larger."""
    written: bool = False
    """It is a file that the command writes."""
    mark: str = ""
    """What the first bytes of such a file hold; empty: the mark of the command's results."""
    suffixes: tuple[str, ...] = ()
    """What its name may end in; anything without them."""
    path: str = "file"
    """What a path leads to: ``file``, ``folder`` or ``any``."""
    placed: bool = False
    """It is given by its place, without its name."""
    of: type | None = None
    """The value holds values for the options of this dataclass, by name."""
    under: tuple[str, ...] = ()
    """Only those of these fields of it; empty: of all."""
    skip: tuple[str, ...] = ()
    """Those of them that are none here."""
    flags: Mapping[str, str] = field(default_factory=dict)
    """Names of some of them on the command line."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Defaults of some of them that are others here."""


def option(default: Any = dataclasses.MISSING, **rule: Any) -> Any:
    """A field with a ``Rule``; without a default it must be given."""
    return field(default=default, metadata={"rule": Rule(**rule)})


def part_of(cls: type, *, under: Sequence[str] = (), skip: Sequence[str] = (),
            flags: Mapping[str, str] | None = None, **defaults: Any) -> Any:
    """A field that holds values for the options of ``cls``, a mapping by name.

    Parameters
    ----------
    under : Sequence[str], optional
        Fields of ``cls`` whose options they are; by default all.
    skip : Sequence[str], optional
        Options of these that are none here.
    flags : Mapping[str, str], optional
        Names on the command line of those that have others there.
    defaults
        Defaults that are others here.
    """
    return field(default_factory=lambda: dict(defaults), metadata={"rule": Rule(
        of=cls, under=tuple(under), skip=tuple(skip), flags=flags or {}, defaults=defaults)})


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of the options of a command.

    Raises
    ------
    OuroborosError
        If a value breaks its field's rule.
    """

    def __post_init__(self) -> None:
        for one in dataclasses.fields(self):
            rule, value = one.metadata.get("rule", Rule()), getattr(self, one.name)
            for item in value if isinstance(value, tuple) else (value,):
                if item is not None:
                    _check(one.name, rule, item)


def _check(name: str, rule: Rule, value: Any) -> None:
    if rule.choices is not None and value not in (known := tuple(rule.choices())):
        raise OuroborosError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    low, high = rule.least, rule.most
    if low is not None and high is not None and not low <= value <= high:
        raise OuroborosError(f"{name} must be {low:g} to {high:g}, not {value!r}")
    if low is not None and not value >= low:
        raise OuroborosError(f"{name} must be at least {low:g}, not {value!r}")
    if rule.above is not None and not value > rule.above:
        raise OuroborosError(f"{name} must be above {rule.above:g}, not {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaf:
    """One option."""

    path: tuple[str, ...]
    """Names of the fields that lead to it; two where it is an option of a field."""
    type: Any
    """Its annotation."""
    default: Any
    """``dataclasses.MISSING`` where it must be given."""
    words: str
    """What it is."""
    rule: Rule
    """What else is known of it."""

    @property
    def name(self) -> str:
        """Last name of the path: the options of a command have different ones."""
        return self.path[-1]

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return self.rule.flag or "--" + self.name.replace("_", "-")

    @property
    def off(self) -> str:
        """Name of no on the command line; empty where no is the default and has no name."""
        return self.rule.off or (f"--no-{self.flag[2:]}" if self.default is True else "")


def leaves(cls: type) -> tuple[Leaf, ...]:
    """Options of a dataclass; those of a field that is a dataclass itself stand in its place."""
    types, found = typing.get_type_hints(cls), list[Leaf]()
    words = words_of(cls)
    for one in dataclasses.fields(cls):
        rule, kind = one.metadata.get("rule", Rule()), types[one.name]
        if rule.of is not None:
            found += [dataclasses.replace(
                leaf, path=(one.name, leaf.name),
                default=rule.defaults.get(leaf.name, leaf.default),
                rule=dataclasses.replace(leaf.rule, flag=rule.flags.get(leaf.name, leaf.rule.flag)))
                for leaf in leaves(rule.of)
                if leaf.path[0] in (rule.under or leaf.path) and leaf.name not in rule.skip]
        elif dataclasses.is_dataclass(one.default):
            found += [dataclasses.replace(leaf, path=(one.name, leaf.name),
                                          default=getattr(one.default, leaf.name))
                      for leaf in leaves(kind)]
        else:
            found.append(Leaf(path=(one.name,), type=kind, default=one.default,
                              words=words.get(one.name, ""), rule=rule))
    return tuple(found)


def make(cls: type[T], values: Mapping[str, Any]) -> T:
    """An instance from the values of its leaves by name; those not given keep their defaults.

    Raises
    ------
    OuroborosError
        If a value is refused, or there is no such option.
    """
    known = {leaf.name: leaf.path for leaf in leaves(cls)}
    own: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        if name not in known:
            raise OuroborosError(f"option must be one of {', '.join(known)}, not {name!r}")
        if len(known[name]) == 1:
            own[name] = value
        else:
            inner.setdefault(known[name][0], {})[name] = value
    defaults = {one.name: one.default for one in dataclasses.fields(cast(Any, cls))}
    try:
        for name, changed in inner.items():
            own[name] = changed if defaults[name] is dataclasses.MISSING else \
                dataclasses.replace(cast(Any, defaults[name]), **changed)
        return cls(**own)
    except OuroborosError:
        raise
    except ValueError as error:
        raise OuroborosError(str(error)) from error


def typed(command: str, options: Options, skip: Container[str] = ()) -> str:
    """What to type for such options; those that have their defaults are left out.

    Parameters
    ----------
    command : str
        Name of the command.
    skip : Container[str]
        Fields that are left out, too.
    """
    words = ["ouroboros", command]
    for leaf in leaves(type(options)):
        value = getattr(options, leaf.name)
        if leaf.name in skip or value == leaf.default:
            continue
        if isinstance(value, bool):
            words.append(leaf.flag if value else leaf.off)
        else:
            for one in value if isinstance(value, tuple) else (value,):
                words += [str(one)] if leaf.rule.placed else [leaf.flag, str(one)]
    return shlex.join(words)


@cache
def words_of(cls: type) -> dict[str, str]:
    """Docstrings under the fields of a class and of its bases, each as one line."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found |= _own_words(base)
    return found


def _own_words(cls: type) -> dict[str, str]:
    where = getattr(sys.modules[cls.__module__], "__file__", None)
    if where is None or not where.endswith(".py"):
        return {}
    found: dict[str, str] = {}
    for node in ast.walk(_tree(where)):
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
            for before, after in zip(node.body, node.body[1:], strict=False):
                if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) \
                        and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) \
                        and isinstance(after.value.value, str):
                    found[before.target.id] = " ".join(after.value.value.split())
    return found


@cache
def _tree(path: str) -> ast.Module:
    return ast.parse(Path(path).read_bytes())
