"""Options of a dataclass: their words, their limits, nested ones."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

import pytest

from ouroboros.hw.params.noc import NocParams
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.options import Options, leaves, make, option, part_of, typed, words_of

NOC = NocParams(vcs=2, flit_bits=256)


@dataclass(frozen=True, kw_only=True)
class Base(Options):
    """What two commands share."""

    machine: str = "small"
    """Machine to
    run on."""
    tokens: int = option(8, least=1)
    """Tokens."""


@dataclass(frozen=True, kw_only=True)
class Derived(Base):
    """More of it."""

    machine: str = "wafer"
    path: Path = option(metavar="FILE")
    """A file."""
    on: tuple[str, ...] = option(("model",), choices=lambda: ("model", "icarus"))
    """Simulators."""
    share: float | None = option(None, least=0, most=1)
    """Part of it."""
    seconds: float = option(1.0, above=0)
    """Time."""
    noc: NocParams = NOC
    """The network."""


@dataclass(frozen=True, kw_only=True)
class Part(Options):
    """Some options of another."""

    seed: int = 0
    """Of chance."""
    values: Mapping[str, Any] = part_of(Derived, skip=("labels", "path"), vc_depth=11,
                                        flags={"vc_depth": "--depth"})


def test_words_defaults_and_flags():
    found = {leaf.name: leaf for leaf in leaves(Derived)}
    assert words_of(Derived)["machine"] == found["machine"].words == "Machine to run on."
    assert found["machine"].default == "wafer"
    assert found["path"].default is MISSING
    assert (found["vcs"].default, found["flit_bits"].default) == (2, 256)
    assert found["class1_vcs"].flag == "--class1-vcs"
    assert found["vcs"].words == "Data channels of class 0; 1 to 7."
    assert "labels" in found and "noc" not in found


def test_part_of_another():
    found = {leaf.name: leaf for leaf in leaves(Part)}
    assert (found["vc_depth"].flag, found["vc_depth"].default) == ("--depth", 11)
    assert found["vcs"].default == 2 and found["vcs"].words.startswith("Data channels")
    assert not {"labels", "path", "values"} & found.keys()
    made = make(Part, {"seed": 3, "vcs": 4, "tokens": 1})
    assert (made.seed, made.values) == (3, {"vcs": 4, "tokens": 1})
    assert Part().values == {"vc_depth": 11}


@dataclass(frozen=True, kw_only=True)
class Run(Base):
    """A run."""

    prompts: tuple[str, ...] = option(flag="--prompt")
    """Texts."""
    twin: bool = option(False, off="--bit-serial")
    """Which macro."""
    overload: bool = True
    """At full load, too."""
    what: str = option("", placed=True)
    """Of what."""


def test_names_of_no():
    off = {leaf.name: leaf.off for leaf in leaves(Run)}
    assert (off["twin"], off["overload"], off["prompts"]) == ("--bit-serial", "--no-overload", "")


def test_what_to_type():
    assert typed("run", Run(prompts=("a b", "c"))) == "ouroboros run --prompt 'a b' --prompt c"
    changed = Run(prompts=("a",), machine="tiny", tokens=3, twin=True, overload=False, what="x")
    assert typed("run", changed, skip=("tokens",)) == (
        "ouroboros run --machine tiny --prompt a --twin --no-overload x")


def test_nested_values_and_defaults():
    made = make(Derived, {"path": Path("x"), "vc_depth": 12, "tokens": 3})
    assert made.noc == NocParams(vcs=2, flit_bits=256, vc_depth=12)
    assert (made.machine, made.tokens, made.on) == ("wafer", 3, ("model",))


@pytest.mark.parametrize("values, message", [
    ({"tokens": 0}, "tokens must be at least 1, not 0"),
    ({"share": 1.5}, "share must be 0 to 1, not 1.5"),
    ({"share": float("nan")}, "share must be 0 to 1, not nan"),
    ({"seconds": 0.0}, "seconds must be above 0, not 0.0"),
    ({"seconds": float("nan")}, "seconds must be above 0, not nan"),
    ({"on": ("model", "x")}, "on must be one of model, icarus, not 'x'"),
    ({"vc_depth": 2}, "vc_depth must be at least 9, not 2"),
    ({"nothing": 2}, ("option must be one of machine, tokens, path, on, share, seconds, "
                      "flit_bits, vcs, class1_vcs, class2_vcs, vc_depth, multicast_flits, labels, "
                      "die_latency_cycles, die_cycles_per_flit, parity, faults, not 'nothing'")),
])
def test_refused(values, message):
    with pytest.raises(OuroborosError) as error:
        make(Derived, {"path": Path("x"), **values})
    assert str(error.value) == message
