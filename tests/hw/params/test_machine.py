import re
from dataclasses import dataclass, replace

import pytest

from ouroboros.hw.params.cim import CimParams, tree_latency_cycles
from ouroboros.hw.params.core import CoreParams
from ouroboros.hw.params.counters import Counter, counter_count, stage_counter
from ouroboros.hw.params.kv import KvParams
from ouroboros.hw.params.load import ConfigError, build
from ouroboros.hw.params.machine import CONFIGS, Machine, MeshParams, load_machine
from ouroboros.hw.params.noc import NocParams

SHIPPED = sorted(path.stem for path in CONFIGS.glob("*.toml"))
MACHINE_KEYS = ["cim", "core", "kv", "mesh", "name", "noc"]
CIM_KEYS = ["active_rows", "k_write_rows_per_cycle", "outputs", "rows"]
TEXT = """
name = "mine"
cim  = { rows = 64, outputs = 16, active_rows = 8 }
core = { macros = 4, lanes = 4 }
noc  = { flit_bits = 128, class1_vcs = 0, class2_vcs = 0 }
kv   = { sequences = 4, heads = 2, blocks = 4, pages = 16 }
mesh = { width = 4, height = 3, die_width = 4, die_height = 3 }
"""


def test_shipped_machines():
    assert SHIPPED == ["detour", "die", "pair", "small", "tiny", "wafer"]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_machines_load(name):
    machine = load_machine(name)
    assert machine.name == name
    assert machine.host == (0, machine.mesh.host_y)
    assert machine.flits_per_word * machine.noc.flit_bits == machine.core.word_bits
    # What the mapper and the array ask for.
    assert machine.cim.outputs % (4 * machine.core.lanes) == 0
    assert machine.cim.rows % (4 * machine.core.lanes) == 0


def test_the_wafer_is_dies_of_the_die():
    die, wafer = load_machine("die"), load_machine("wafer")
    assert (wafer.mesh.die_width, wafer.mesh.die_height) == (die.mesh.width, die.mesh.height)
    assert replace(wafer, name="die", mesh=die.mesh) == die
    assert wafer.mesh.cores == 63 * die.mesh.cores == 13923


def test_properties():
    machine = load_machine("die")
    assert (machine.core.word_bits, machine.flits_per_word, machine.block_tokens) == (512, 2, 128)
    assert (machine.cim.groups, machine.cim.mvm_cycles) == (32, 256)
    assert [machine.cim.command_cycles(n) for n in (0, 1, 32)] == [1, 8, 256]
    assert [tree_latency_cycles(n) for n in (1, 2, 4, 5, 16, 32)] == [1, 1, 1, 2, 2, 3]


def test_channels_of_the_network():
    noc = NocParams(vcs=3)
    assert [list(noc.class_channels(n)) for n in (0, 1, 2)] == [[0, 1, 2], [3], [4, 5]]
    assert (noc.transit_vc, noc.control_vc, noc.channels) == (4, 6, 7)
    assert list(NocParams(class1_vcs=0, class2_vcs=0).class_channels(2)) == []


@pytest.mark.parametrize("latency, cycles_per_flit, depth", [(20, 1, 44), (20, 2, 22), (1, 4, 2),
                                                            (3, 3, 4)])
def test_die_link_depth(latency, cycles_per_flit, depth):
    """ceil((2 x latency + 4) x width ratio)."""
    noc = NocParams(die_latency_cycles=latency, die_cycles_per_flit=cycles_per_flit)
    assert noc.die_depth == depth


def test_counters():
    """Addresses do not meet; a core with s stages has ``counter_count(s)`` of them."""
    simple = [counter for counter in Counter if counter is not Counter.STAGE0]
    staged = [stage_counter(n, state) for n in range(4) for state in
              ("busy", "waiting", "blocked")]
    assert len({*simple, *staged}) == len(simple) + len(staged)
    assert max(staged) == counter_count(4) - 1 and max(simple) < Counter.STAGE0


# Files


def write(tmp_path, old="", new=""):
    assert old in TEXT
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(old, new) if old else TEXT + new)
    return str(path)


def test_a_file_by_its_path(tmp_path):
    machine = load_machine(write(tmp_path))
    assert machine == replace(load_machine("tiny"), name="mine", core=machine.core)
    assert machine.core == CoreParams(macros=4, lanes=4)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("", "x = 3", f"mine.toml: unknown key 'x'; known keys: {MACHINE_KEYS}"),
    ("rows = 64", "rows = 64, x = 3", f"mine.toml.cim: unknown key 'x'; known keys: {CIM_KEYS}"),
    ("rows = 64", "rows = 64.0", "mine.toml.cim.rows: expected int, not 64.0"),
    ("rows = 64", "rows = true", "mine.toml.cim.rows: expected int, not True"),
    ("rows = 64", "rows = '64'", "mine.toml.cim.rows: expected int, not '64'"),
    ("rows = 64", "rows = 63", "mine.toml.cim: rows must be a power of two, not 63"),
    ('name = "mine"', "name = 3", "mine.toml.name: expected str, not 3"),
    ("lanes = 4", "lanes = 8, slots = 1",
     "mine.toml.core: slots must be between 2 and 32, not 1"),
    ("flit_bits = 128", "flit_bits = 128, multicast_flits = 8",
     "mine.toml: noc.multicast_flits must be 9, the length of the packets that cores send, not 8"),
    ("lanes = 4", "lanes = 32",
     "mine.toml: cim.outputs (16) must be a multiple of core.lanes (32)")])
def test_refused_files(tmp_path, old, new, message):
    with pytest.raises(ConfigError) as error:
        load_machine(write(tmp_path, old, new))
    assert str(error.value) == message


def test_a_missing_key(tmp_path):
    with pytest.raises(ConfigError, match=r"^mine\.toml\.cim: .* missing .*'rows'$"):
        load_machine(write(tmp_path, "rows = 64, ", ""))


def test_a_part_that_is_no_table(tmp_path):
    with pytest.raises(ConfigError) as error:
        load_machine(write(tmp_path, "{ flit_bits = 128, class1_vcs = 0, class2_vcs = 0 }", "128"))
    assert str(error.value) == "mine.toml.noc: expected a table, not 128"


def test_unknown_machines():
    with pytest.raises(ConfigError) as error:
        load_machine("huge")
    assert str(error.value) == (
        "machine must be one of ['detour', 'die', 'pair', 'small', 'tiny', 'wafer'] or a path to a "
        ".toml file, not 'huge'")


def test_a_path_without_a_file(tmp_path):
    with pytest.raises(ConfigError) as error:
        load_machine(str(tmp_path / "no.toml"))
    assert str(error.value) == f"{tmp_path / 'no.toml'}: cannot be read: No such file or directory"


def test_a_file_that_is_not_toml(tmp_path):
    with pytest.raises(ConfigError, match=r"^mine\.toml: not TOML: "):
        load_machine(write(tmp_path, "", "= ="))


def test_floats_may_be_written_as_integers():
    @dataclass(frozen=True)
    class Part:
        """One number."""

        size: float

    assert build(Part, {"size": 3}, where="x").size == 3


# Parameters

CIM = {"rows": 64, "outputs": 16, "active_rows": 8}
CORE = {"macros": 4, "lanes": 4}
KV = {"sequences": 4, "heads": 2, "blocks": 4}
MESH = {"width": 4, "height": 6, "die_width": 2, "die_height": 3}


@pytest.mark.parametrize(("cls", "good", "change", "message"), [
    (CimParams, CIM, {"rows": 0}, "rows must be a power of two, not 0"),
    (CimParams, CIM, {"outputs": 24}, "outputs must be a power of two, not 24"),
    (CimParams, CIM, {"outputs": 2}, "outputs must be at least 4, not 2"),
    (CimParams, CIM, {"active_rows": 128}, "active_rows must be at most rows (64), not 128"),
    (CimParams, CIM, {"k_write_rows_per_cycle": 16},
     "k_write_rows_per_cycle must be at most active_rows (8), not 16"),
    (CimParams, {**CIM, "active_rows": 32}, {"k_write_rows_per_cycle": 32},
     "k_write_rows_per_cycle must be at most outputs (16), not 32"),
    (CoreParams, CORE, {"macros": 3}, "macros must be a power of two, not 3"),
    (CoreParams, CORE, {"macros": 64}, "macros must be between 1 and 32, not 64"),
    (CoreParams, CORE, {"lanes": 2}, "lanes must be between 4 and 64, not 2"),
    (CoreParams, CORE, {"residual_bits": 32}, "residual_bits must be 16 or 24, not 32"),
    (CoreParams, CORE, {"stages": 17}, "stages must be between 1 and 16, not 17"),
    (CoreParams, CORE, {"slots": 33}, "slots must be between 2 and 32, not 33"),
    (CoreParams, CORE, {"credits": 0}, "credits must be between 1 and 32, not 0"),
    (CoreParams, CORE, {"credit_bits": 1}, "credit_bits must be between 2 and 8, not 1"),
    (CoreParams, CORE, {"credit_list_words": 65},
     "credit_list_words must be between 1 and 64, not 65"),
    (CoreParams, CORE, {"dests": 65}, "dests must be between 1 and 64, not 65"),
    (CoreParams, CORE, {"buffer_words": 8}, "buffer_words must be between 16 and 4096, not 8"),
    (CoreParams, CORE, {"program_words": 100}, "program_words must be a power of two, not 100"),
    (CoreParams, CORE, {"param_words": 8192}, "param_words must be between 1 and 4096, not 8192"),
    (CoreParams, CORE, {"step_words": 128}, "step_words must be between 1 and 64, not 128"),
    (CoreParams, CORE, {"trace_words": 1}, "trace_words must be between 2 and 4096, not 1"),
    (KvParams, KV, {"sequences": 65537}, "sequences must be between 1 and 65536, not 65537"),
    (KvParams, KV, {"heads": 32}, "heads must be between 1 and 16, not 32"),
    (KvParams, KV, {"blocks": 0}, "blocks must be between 1 and 8192, not 0"),
    (KvParams, KV, {"pages": 1025}, "pages must be between 1 and 1024, not 1025"),
    (NocParams, {}, {"flit_bits": 64}, "flit_bits must be at least 128, not 64"),
    (NocParams, {}, {"flit_bits": 192}, "flit_bits must be a multiple of 128, not 192"),
    (NocParams, {}, {"vcs": 0}, "vcs must be between 1 and 7, not 0"),
    (NocParams, {}, {"vcs": 5}, "vcs + class1_vcs + class2_vcs must be at most 7, not 8"),
    (NocParams, {}, {"class1_vcs": -1}, "class1_vcs must be between 0 and 4, not -1"),
    (NocParams, {}, {"class2_vcs": 1}, "class2_vcs must be 0 or 2, not 1"),
    (NocParams, {}, {"vc_depth": 8}, "vc_depth must be at least 9, not 8"),
    (NocParams, {"multicast_flits": 4}, {"vc_depth": 3}, "vc_depth must be at least 4, not 3"),
    (NocParams, {}, {"multicast_flits": 10}, "multicast_flits must be between 1 and 9, not 10"),
    (NocParams, {}, {"die_latency_cycles": 0},
     "die_latency_cycles must be between 1 and 64, not 0"),
    (NocParams, {}, {"die_cycles_per_flit": 17},
     "die_cycles_per_flit must be between 1 and 16, not 17"),
    (NocParams, {}, {"labels": 129}, "labels must be between 2 and 128, not 129"),
    (MeshParams, MESH, {"width": 0}, "width must be between 1 and 126, not 0"),
    (MeshParams, MESH, {"height": 127}, "height must be between 1 and 126, not 127"),
    (MeshParams, MESH, {"host_y": 7}, "host_y must be between 1 and 6, not 7"),
    (MeshParams, MESH, {"die_width": 3}, "die_width must divide width (4), not 3"),
    (MeshParams, MESH, {"die_height": 0}, "die_height must divide height (6), not 0")])
def test_refused_parameters(cls, good, change, message):
    cls(**good)
    with pytest.raises(ValueError) as error:
        cls(**{**good, **change})
    assert str(error.value) == message


@pytest.mark.parametrize(("changes", "message"), [
    ({"noc": NocParams(flit_bits=256)},
     "core.lanes x 32 (128) must be a multiple of noc.flit_bits (256)"),
    ({"cim": CimParams(rows=64, outputs=16, active_rows=32)},
     "core.lanes x 32 (128) must be a multiple of 8 x cim.active_rows (256)"),
    ({"core": CoreParams(macros=4, lanes=32)},
     "cim.outputs (16) must be a multiple of core.lanes (32)")])
def test_refused_machines(changes, message):
    parts = {"name": "x", "cim": CimParams(**CIM), "core": CoreParams(**CORE), "noc": NocParams(),
             "kv": KvParams(**KV), "mesh": MeshParams(**MESH)}
    Machine(**parts)
    with pytest.raises(ValueError) as error:
        Machine(**{**parts, **changes})
    assert str(error.value) == message


@pytest.mark.parametrize(("changes", "message"), [
    ({"cim": {"rows": 4096}}, "cim.rows (4096) must be at most 256 groups of cim.active_rows (8)"),
    ({"mesh": {"more_hosts": ((2, 2),)}}, "more_hosts must be edge ports: x 0 or 5 with y 1 to 3,"),
    ({"mesh": {"more_hosts": ((5, 3), (5, 3))}}, "more_hosts must be ports that have no host yet"),
    ({"mesh": {"more_hosts": ((0, 1),)}}, "more_hosts must be ports that have no host yet"),
])
def test_machines_that_cannot_be(changes, message):
    machine = load_machine("tiny")
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(machine, **{part: replace(getattr(machine, part), **values)
                            for part, values in changes.items()})


def test_dies():
    mesh = load_machine("wafer").mesh
    assert mesh.dies == (9, 7)
    assert (mesh.die_of((13, 17)), mesh.die_of((14, 18))) == ((0, 0), (1, 1))
    assert mesh.crosses((13, 5), (14, 5)) and not mesh.crosses((12, 5), (13, 5))
    assert mesh.crosses((5, 17), (5, 18)) and not mesh.crosses((0, 1), (1, 1))


def test_more_hosts_from_a_file(tmp_path):
    machine = load_machine(write(tmp_path, "die_width", "more_hosts = [[5, 2], [1, 0]], die_width"))
    assert machine.mesh.hosts == ((0, 1), (5, 2), (1, 0))
    for wrong in ("5", "[5, 2]", "[[5]]", '[["a", 1]]'):
        with pytest.raises(ConfigError, match=r"^mine.toml.mesh.more_hosts: expected "):
            load_machine(write(tmp_path, "die_width", f"more_hosts = {wrong}, die_width"))
