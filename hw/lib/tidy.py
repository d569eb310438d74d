"""Yosys' Verilog as people and every simulator can read it."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ouroboros.hw.lib.names import KEYWORDS, LibraryError

__all__ = ["modules_of", "plain", "tidied"]

ROOT = Path(__file__).resolve().parents[2]
START = "at_start"
"""A net whose constant arrives after all processes wait, so that each runs once."""

_MODULE = re.compile(r"^module (\\?\S+?)\s*\((.*?)\);\n", re.MULTILINE | re.DOTALL)
_ATTRIBUTE = re.compile(r"\(\* (\S+) = +\"?(.*?)\"? +\*\) ?")
_ALONE = re.compile(r"^ *\(\* .* \*\)$")
_ESCAPED = re.compile(r"\\(\S+) ")
_AUTO = re.compile(r"\\\$auto\$verilog_backend\S* ")
_INITIAL = re.compile(r"^  reg \S*\$auto\$verilog_backend\S* += 0;\n", re.MULTILINE)
_READ = re.compile(r"\b_(\d+)_\b")
_READ_REGISTER = re.compile(r"^(  reg (?:\[\d+:\d+\] )?read\$\d+);$", re.MULTILINE)
_UNTRIGGERED = re.compile(r"^  always @\*\n    ([^;]*;)$", re.MULTILINE)
_EMPTY = re.compile(r"^  (?:wire|reg) \[-1:0\] .*\n|^  assign \S+ += *(?:0'\S*|\{ *\});\n",
                    re.MULTILINE)
_PARTS = re.compile(r"(?:^  assign (\S+)\[\d+(?::\d+)?\] = [^\n]*\n)(?:^  assign \1\[[^\n]*\n)+",
                    re.MULTILINE)
_DECLARED = re.compile(r"^  (?:wire|reg|integer) (?:signed )?(?:\[-?\d+:\d+\] )?([\w$]+)",
                       re.MULTILINE)
_MEMORY = re.compile(r"^  reg \[(\d+):0\] (\S+) \[(\d+):0\];.*\n", re.MULTILINE)


def modules_of(text: str) -> dict[str, str]:
    """Verilog text of each module with the attributes above it, by its name."""
    found, above = {}, ""
    for part in re.split(r"(?<=^endmodule\n)", text, flags=re.MULTILINE):
        if head := _MODULE.search(part):
            above = "".join(line for line in part[:head.start()].splitlines(keepends=True)
                            if line.startswith("(*"))
            found[head[1].removeprefix("\\")] = above + part[head.start():]
    return found


def plain(name: str) -> str:
    """A name without a need for escapes: ``a.b`` as ``a$b``, number 12 as ``n$12``."""
    name = name.replace(".", "$")
    if name.startswith("$"):
        name = f"n{name}" if name[1:2].isdigit() else name[1:]
    name = re.sub(r"[^A-Za-z0-9_$]", "_", name)
    return f"{name}_" if name in KEYWORDS else name


def tidied(text: str, order: Sequence[str]) -> str:
    """A module with simple names, comments in place of attributes, ports in the order given.

    Without an order, clock and reset come first and the others by name. The text is the same
    however many modules Yosys wrote along with it. Processes read a net, and read registers of
    memories begin with 0, as they do in Amaranth: Yosys leaves both to the simulator.

    Raises
    ------
    LibraryError
        If two names become one.
    """
    head = _MODULE.search(text)
    body = _INITIAL.sub("", text[head.end():])
    body, count = _AUTO.subn(START, body)
    body, more = _UNTRIGGERED.subn(
        rf"  always @* begin\n    if ({START}) begin end\n    \1\n  end", body)
    body = _numbered(_sources(body))

    def simple(match: re.Match[str]) -> str:
        # The blank ends an escaped name; one stays where words would meet.
        return plain(match[1]) + ("" if match.string[match.end():match.end() + 1] in " ;,)["
                                  else " ")

    ports = [plain(port.strip().removeprefix("\\")) for port in head[2].split(",") if port.strip()]
    body = _ESCAPED.sub(simple, body)
    body = _EMPTY.sub("", body)
    # Yosys writes the parts of a net in an order that depends on what it read before.
    body = _PARTS.sub(lambda match: "".join(sorted(match[0].splitlines(keepends=True))), body)
    body = _READ_REGISTER.sub(r"\1 = 0;", body)
    body = _MEMORY.sub(lambda match: match[0] + _zeros(match, body), body)
    declared = Counter(_DECLARED.findall(body))
    if twice := sorted(name for name, count in declared.items() if count > 1):
        raise LibraryError(f"module {head[1]} must have one signal {twice[0]!r}, not several whose "
                           "names differ in what Verilog does not allow in one")
    ranks = {plain(port): n for n, port in enumerate(order)}
    ports.sort(key=lambda port: (ranks.get(port, len(ranks)),
                                 not re.fullmatch(r"(\w+_)?(clk|rst)", port), port))
    place = next(filter(None, (_place(value) for name, value in
                               _ATTRIBUTE.findall(text[:head.start()]) if name == "src")), "")
    lines = [f"// {place}"] if place else []
    lines.append(f"module {plain(head[1].removeprefix(chr(92)))}({', '.join(ports)});")
    if count or more:
        lines.append(f"  wire {START} = 1'b0;")
    return "\n".join([*lines, body])


def _sources(body: str) -> str:
    """Attributes out; where a line comes from, if from this project, as a comment behind it."""
    lines, source = [], ""
    for line in body.split("\n"):
        if "(*" in line:
            for name, value in _ATTRIBUTE.findall(line):
                if name == "src":
                    source = _place(value) or source
            if _ALONE.fullmatch(line):
                continue
            line = _ATTRIBUTE.sub("", line)
        if source and line:
            line, source = f"{line} // {source}", ""
        lines.append(line)
    return "\n".join(lines)


def _place(value: str) -> str:
    """File and line below the project's root, of the first place that is there."""
    for place in value.split("|"):
        path = Path(place.partition(":")[0])
        if path.is_relative_to(ROOT / "hw") or path.is_relative_to(ROOT / "tb"):
            return str(Path(place).relative_to(ROOT))
    return ""


def _zeros(memory: re.Match[str], body: str) -> str:
    """What sets a memory without a table to 0."""
    top, name, last = memory.groups()
    if re.search(rf"^    {re.escape(name)}\[0\] = ", body, re.MULTILINE):
        return ""
    row = f"{name}$row"
    return (f"  integer {row};\n"
            f"  initial for ({row} = 0; {row} <= {last}; {row} = {row} + 1)\n"
            f"    {name}[{row}] = {int(top) + 1}'d0;\n")


def _numbered(body: str) -> str:
    """Read registers, which Yosys numbers over all modules, from 0."""
    numbers: dict[str, int] = {}
    return _READ.sub(lambda match: f"read${numbers.setdefault(match[1], len(numbers))}", body)
