"""The reader finds what is wrong in an emitted machine, and nothing in a right one."""

import re
from dataclasses import replace
from functools import cache

import pytest

from ouroboros.hw.lib.library import Library
from ouroboros.hw.mesh.wafer import define_machine
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.emit.connectivity import check_connectivity
from ouroboros.tb.emit.netlist import NetlistError, read_module, value_of

DEAD = ((2, 2), (3, 4))


def machine_of(**mesh):
    machine = load_machine("tiny")
    return replace(machine, mesh=replace(machine.mesh, **mesh))


ONE = machine_of(more_hosts=((5, 2),))
MANY = machine_of(width=4, height=6, die_width=2, die_height=3, more_hosts=((5, 2), (3, 0)))


@cache
def emitted(machine, dead=DEAD):
    """Text of a machine; only ports of a tile matter."""
    library = Library()
    library.add_source("tile", tile())
    define_machine(library, machine, [at for at in dead if machine.mesh.holds(at)])
    return library.sources()


def tile():
    ports = [("input", name, 7) for name in ("x", "y", "mesh_width", "mesh_height")]
    ports += [("input", "connected", 5), ("input", "clk", 1), ("input", "rst", 1)]
    for n in range(4):
        for end, forward, back in (("inputs", "input", "output"), ("outputs", "output", "input")):
            ports += [(forward, f"{end}__{n}__valid", 1), (forward, f"{end}__{n}__flit", 131),
                      (back, f"{end}__{n}__credit", 2)]
    lines = [f"  {way} {f'[{width - 1}:0] ' if width > 1 else ''}{name};"
             for way, name, width in ports]
    return "\n".join([f"module tile({', '.join(name for _, name, _ in ports)});", *lines,
                      "endmodule", ""])


def test_one_die():
    found = check_connectivity(emitted(ONE), ONE, DEAD[:1])
    assert (found.tiles, found.links, found.die_links) == (11, 2 * (9 + 8) - 8 + 4, 0)
    assert len(found.edge_ports) == 14
    assert {at: name for at, name in found.edge_ports.items() if name} == {
        (0, 1): "host_port", (5, 2): "host1_port"}


def test_dies():
    found = check_connectivity(emitted(MANY), MANY, DEAD)
    inner = 2 * (3 * 6 + 4 * 5)
    assert found.links == inner - 16 + 6
    # Of 2 x 6 + 2 x 4 over borders, (2, 2) and (3, 4) take two and four.
    assert (found.tiles, found.die_links) == (22, 20 - 2 - 4)


def broken(module, old, new, count=1):
    texts = dict(emitted(MANY))
    assert len(re.findall(old, texts[module])) >= 1
    texts[module] = re.sub(old, new, texts[module], count=count)
    return texts


@pytest.mark.parametrize(("module", "old", "new", "message"), [
    ("wafer", r"east_1_o__valid\(link_2_1_east_i__valid\)",
     "east_1_o__valid(link_2_3_east_i__valid)", "must be driven once"),
    ("wafer", r"\.i__valid\(link_2_1_east_i__valid\)", ".i__valid(link_2_3_east_i__valid)",
     "must come from one place"),
    ("wafer", r"\.west_1_i__flit\(link_2_1_east_o__flit\)",
     ".west_1_i__flit(link_2_3_east_o__flit)", "must come from one place"),
    ("wafer", r"\.first_x\(7'd3\)", ".first_x(7'd1)", "must have a place of its own in the mesh"),
    ("wafer", r"\.mesh_width\(7'd4\)", ".mesh_width(7'd5)", "must be told mesh_width 4"),
    ("wafer", r"\.live\(6'b111111\)", ".live(6'b111110)", "must "),
    ("wafer", r"\.east\(3'b111\)", ".east(3'b110)", "must be told connected"),
    ("wafer", r"    \.west_3_i__valid\(1'd0\),\n", "",
     "must have its input west_3_i__valid driven"),
    ("die", r"from_1_1_east__valid & live\[0\]", "from_1_2_east__valid & live[2]",
     "must come from"),
    ("die", r"x2 = first_x \+ 7'd1", "x2 = first_x + 7'd0", "must have a place of its own"),
    ("die", r"assign east_1_o__flit = .*;", "assign east_1_o__valid = from_east_1_o__valid;",
     "must be driven once"),
    ("die", r"\.connected\(\{1'b1,", ".connected({1'b0,", "must be told connected"),
    ("die", r"from_1_1_east__credit & \{2\{live\[1\]\}\}", "from_2_1_west__credit", "its credits"),
])
def test_what_is_wrong_is_found(module, old, new, message):
    with pytest.raises(NetlistError, match=re.escape(message)):
        check_connectivity(broken(module, old, new), MANY, DEAD)


def test_a_border_without_a_die_link_is_found():
    text = re.sub(r"(_i__\w+\()link_2_1_east_o__", r"\1link_2_1_east_i__", emitted(MANY)["wafer"])
    assert text != emitted(MANY)["wafer"]
    with pytest.raises(NetlistError, match=r"must get its credits from|must pass a die link|once"):
        check_connectivity({**emitted(MANY), "wafer": text}, MANY, DEAD)


def test_a_tile_too_few_is_found():
    with pytest.raises(NetlistError, match=r"must come from"):
        check_connectivity(emitted(MANY), MANY, DEAD[:1])
    with pytest.raises(NetlistError, match=r"^there must be a tile at \(2, 2\)$"):
        check_connectivity(emitted(ONE), ONE)


@pytest.mark.parametrize(("text", "value"), [
    ("7'd9", (7, 9)), ("{1'b1, a[2], a}", (5, 0b11100)), ("a & {3{a[2]}}", None),
    ("a + 3'd5", (3, 1)), ("1'b0 | ~a[0]", (1, 1)), ("~a", (3, 3)), ("{a", None), ("a -", None)])
def test_expressions(text, value):
    def net(name):
        return {"a": (3, 0b100)}[name]

    if value is None:
        with pytest.raises(NetlistError):
            value_of(text, net)
    else:
        assert value_of(text, net) == value


def test_a_net_driven_twice():
    with pytest.raises(NetlistError, match="net a of module m must be driven once"):
        read_module("module m(a);\n  output a;\n  assign a = 1'b0;\n  assign a = 1'b1;\n"
                    "endmodule\n")
