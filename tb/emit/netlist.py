"""Reads emitted modules that only place others: ports, nets, what drives what."""

import re
from dataclasses import dataclass, field

__all__ = ["Module", "NetlistError", "Value", "read_module", "value_of"]

_PORT = re.compile(r"^  (input|output) (?:\[(\d+):0\] )?([\w$]+);", re.MULTILINE)
_WIRE = re.compile(r"^  wire (?:\[(\d+):0\] )?([\w$]+)(?: = (.*))?;", re.MULTILINE)
_ASSIGN = re.compile(r"^  assign ([\w$]+) = (.*);", re.MULTILINE)
_PLACED = re.compile(r"^  ([A-Za-z_]\w*) ([\w$]+) \(.*\n((?:    \..*\n)+)  \);", re.MULTILINE)
_CONNECTED = re.compile(r"^    \.([\w$]+) ?\((.*?)\),?$", re.MULTILINE)
_TOKEN = re.compile(r"(\d+)'([bdh])([0-9a-f]+)|([A-Za-z_][\w$]*)(?:\[(\d+)\])?|(\S)")

Value = tuple[int, int]
"""Width and value."""


class NetlistError(ValueError):
    """Emitted text is not what it must be."""


@dataclass(kw_only=True, slots=True)
class Module:
    """One module."""

    name: str
    """Of the module."""
    ports: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Direction and width of each port, in order."""
    driven: dict[str, str] = field(default_factory=dict)
    """Expression of each net that one drives."""
    placed: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    """Module and connections, by port, of each instance."""


def read_module(text: str) -> Module:
    """Ports and instances of any emitted module; all nets of one that only places others.

    Raises
    ------
    NetlistError
        If a net is driven by two expressions, or a name is used twice.
    """
    head = re.search(r"^module (\w+)\s*\((.*?)\);", text, re.MULTILINE | re.DOTALL)
    if head is None:
        raise NetlistError("text must have a module")
    module = Module(name=head[1])
    found = {name: (way, int(top or 0) + 1) for way, top, name in _PORT.findall(text)}
    order = re.findall(r"[\w$]+", re.sub(r"\binput\b|\boutput\b|\[.*?\]", "", head[2]))
    module.ports = {name: found[name] for name in order if name in found}
    for name, value in [(name, value) for _, name, value in _WIRE.findall(text) if value] \
            + _ASSIGN.findall(text):
        if name in module.driven:
            raise NetlistError(f"net {name} of module {module.name} must be driven once")
        module.driven[name] = value
    for kind, name, ports in _PLACED.findall(text):
        if name in module.placed:
            raise NetlistError(f"module {module.name} must have one instance {name}")
        module.placed[name] = kind, dict(_CONNECTED.findall(ports))
    return module


def value_of(expression: str, net) -> Value:
    """Width and value of an expression of constants, nets, bits of nets, ``{} & | ~ +``.

    Parameters
    ----------
    net : Callable[[str], Value]
        Width and value of a net.

    Raises
    ------
    NetlistError
        If the expression has something else in it.
    """
    tokens = list(_TOKEN.finditer(expression))
    value, at = _sum(tokens, 0, net, expression)
    if at != len(tokens):
        raise NetlistError(f"expression {expression!r} must be one that this project writes")
    return value


def _sum(tokens, at, net, whole):
    left, at = _term(tokens, at, net, whole)
    while at < len(tokens) and tokens[at][6] in ("&", "|", "+"):
        right, next_ = _term(tokens, at + 1, net, whole)
        width = max(left[0], right[0])
        value = {"&": left[1] & right[1], "|": left[1] | right[1], "+": left[1] + right[1]}
        left, at = (width, value[tokens[at][6]] & (1 << width) - 1), next_
    return left, at


def _term(tokens, at, net, whole):
    if at >= len(tokens):
        raise NetlistError(f"expression {whole!r} must not end there")
    token = tokens[at]
    if token[1]:
        return (int(token[1]), int(token[3], {"b": 2, "d": 10, "h": 16}[token[2]])), at + 1
    if token[4]:
        width, value = net(token[4])
        if token[5]:
            return (1, value >> int(token[5]) & 1), at + 1
        return (width, value), at + 1
    if token[6] == "~":
        (width, value), at = _term(tokens, at + 1, net, whole)
        return (width, ~value & (1 << width) - 1), at
    if token[6] == "{":
        parts, at = [], at + 1
        while True:
            part, at = _sum(tokens, at, net, whole)
            parts.append(part)
            if at < len(tokens) and tokens[at][6] == ",":
                at += 1
                continue
            break
        if at >= len(tokens) or tokens[at][6] != "}":
            raise NetlistError(f"expression {whole!r} must close what it opens")
        value = 0
        for width, one in parts:
            value = value << width | one
        return (sum(width for width, _ in parts), value), at + 1
    raise NetlistError(f"expression {whole!r} must be one that this project writes")
