"""A file of waves of one core, made by hand: what each signal holds from which cycle on."""

import io

import pytest
from vcd import VCDWriter

from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import DATA_HEADER, Kind, Port
from ouroboros.sw.runtime.waves import views
from ouroboros.tb.lib.stream import pack
from ouroboros.tb.waves.about import About, Stage, write_about
from ouroboros.tb.waves.record import PERIOD_PS

TINY = load_machine("tiny")
CORE = (1, 1)
STATES = {0: "FREE", 1: "FETCH", 2: "OPERAND", 3: "UNIT", 4: "CREDIT", 5: "RUN"}
SLOT = {"state": 3, "stage": 2, "sequence": 16, "position": 20, "operand": 2, "packets": 8,
        "unit": 2, "credits": 16, "counts_0_": 8, "counts_1_": 8, "counts_2_": 8, "counts_3_": 8}


def flit(head=0, tail=0, vc=0, **header):
    fields = dict.fromkeys((field.name for field in DATA_HEADER.fields), 0)
    bits = DATA_HEADER.pack({**fields, **header}) if head else 0
    return pack(flit_layout(TINY.noc), {"data": bits, "vc": vc, "head": head, "tail": tail})


def signals():
    """Width of every signal that answers need, by name below the tile."""
    found = {}
    for port in Port:
        for way in ("inputs", "outputs"):
            base = f"router.{way}__{int(port)}"
            found |= {f"{base}__valid": 1, f"{base}__flit": 131, f"{base}__flit$vc": 1,
                      f"{base}__credit": 2}
        for vc in range(2):
            found[f"router.input_{port.name.lower()}.channel{vc}.freed"] = 1
    for number in range(TINY.core.slots):
        found |= {f"core.controller.slots.slot{number}${name}": bits
                  for name, bits in SLOT.items()}
    for unit in ("array", "sfu", "send"):
        base = f"core.controller.issue_{unit}__"
        found |= {f"{base}valid": 1, f"{base}ready": 1, f"{base}payload$slot": 3,
                  f"{base}payload$instruction": 128}
    return found | {
        "core.controller.done_array__valid": 1, "core.controller.done_array__payload$slot": 3,
        "core.controller.lock": 1, "core.controller.lock_slot": 3,
        "core.controller.slots.credit_ready": 16, "core.send.packet__valid": 1,
        "core.send.packet__ready": 1, "core.send.packet__payload$vc": 1,
        "core.egress.end_.credits.counts__0": 4, "core.egress.end_.credits.counts__1": 4}


@pytest.fixture
def make_wave(tmp_path):
    """Writes a file with these values by signal and cycle; all others are 0."""
    def make(values, last=100):
        path = tmp_path / "made.vcd"
        text = io.StringIO()
        with VCDWriter(text, timescale="1 ps", date="") as writer:
            made = {name: writer.register_var(
                ".".join(["die", "tile_1_1", "body", *name.split(".")[:-1]]),
                name.rpartition(".")[2], "wire", size=bits, init=0)
                for name, bits in signals().items()}
            for cycle, name, value in sorted(
                    (cycle, name, value) for name, changes in values.items()
                    for cycle, value in changes.items()):
                writer.change(made[name], cycle * PERIOD_PS, value)
        path.write_text(text.getvalue())
        views(path).mkdir()
        write_about(path, About(
            machine=TINY, cores=(CORE,), recorded=(1, last),
            stages=(Stage("embed", CORE, 1), Stage("l0.qkv", (2, 1), 0)),
            names={f"core.controller.slots.slot{n}$state": STATES
                   for n in range(TINY.core.slots)}))
        return path
    return make


@pytest.fixture
def packet():
    """Flits of a packet for stage embed, by cycle: a signal's changes."""
    def make(cycles, **header):
        length = len(cycles) - 1
        head = flit(1, 0, kind=int(Kind.DATA), src_x=0, src_y=1, dst_x=1, dst_y=1, length=length,
                    stage=1, **header)
        return {cycle: head if n == 0 else flit(0, int(n == length))
                for n, cycle in enumerate(cycles)}
    return make
