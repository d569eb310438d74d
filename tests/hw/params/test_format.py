from functools import cache

import pytest
from amaranth.hdl import Const
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params import isa, packet
from ouroboros.hw.params.format import Field, Format
from ouroboros.hw.params.isa import FORMATS, INSTRUCTION_BITS, Op, assemble, disassemble

SHARED = {name: value for module in (packet, isa) for name, value in vars(module).items()
          if isinstance(value, Format)}


@cache
def values_of(fmt):
    """Strategy of field values that fit."""
    return st.fixed_dictionaries({
        f.name: st.integers(-(1 << f.bits - 1), (1 << f.bits - 1) - 1) if f.signed
        else st.integers(0, (1 << f.bits) - 1) for f in fmt.fields})


layout_of = cache(struct)


FIELDS = st.builds(Field, name=st.text("abcdefgh", min_size=1), bits=st.integers(1, 40),
                   signed=st.booleans())
RANDOM_FORMATS = st.lists(FIELDS, min_size=1, max_size=6, unique_by=lambda f: f.name).map(
    lambda fields: Format(tuple(fields)))


@given(data=st.data(), fmt=RANDOM_FORMATS)
def test_unpack_inverts_pack(data, fmt):
    values = data.draw(values_of(fmt))
    word = fmt.pack(values)
    assert 0 <= word < 1 << fmt.bits == 1 << sum(f.bits for f in fmt.fields)
    assert fmt.unpack(word) == values


@given(data=st.data(), fmt=RANDOM_FORMATS)
def test_pack_inverts_unpack(data, fmt):
    word = data.draw(st.integers(0, (1 << fmt.bits) - 1))
    assert fmt.pack(fmt.unpack(word)) == word


@pytest.mark.parametrize("name", SHARED)
@given(data=st.data())
def test_hardware_sees_the_same_fields(name, data):
    """The struct built from a format has its fields at the bits that ``pack`` puts them."""
    fmt = SHARED[name]
    values = data.draw(values_of(fmt))
    layout = layout_of(fmt)
    assert layout.size == fmt.bits
    view = layout.from_bits(fmt.pack(values))
    assert {f.name: int(getattr(view, f.name)) for f in fmt.fields} == values
    offset = 0
    for f in fmt.fields:
        assert (layout[f.name].offset, layout[f.name].width) == (offset, f.bits)
        offset += f.bits
    assert Const.cast(layout.const(values)).value == fmt.pack(values)


@pytest.mark.parametrize(("name", "bits"), [
    ("DATA_HEADER", 128), ("CONFIG_HEADER", 128), ("CREDIT_HEADER", 128), ("TRACE_ENTRY", 128),
    ("STAGE_ENTRY", 57), ("CREDIT_ENTRY", 34), ("DEST_ENTRY", 77), ("KV_CONFIG", 119),
    ("LABEL_ENTRY", 5)])
def test_sizes(name, bits):
    """Every header and every table entry fits one flit."""
    assert SHARED[name].bits == bits <= 128


@pytest.mark.parametrize("op", Op)
def test_instructions_are_one_width(op):
    assert FORMATS[op].bits == INSTRUCTION_BITS
    assert [(f.name, f.bits) for f in FORMATS[op].fields[:3]] == [
        ("op", 4), ("skip", 4), ("need", 4)]


def test_headers_agree_on_routing():
    """A router reads any kind of header alike."""
    for fmt in (packet.DATA_HEADER, packet.CONFIG_HEADER, packet.CREDIT_HEADER):
        assert fmt.fields[:len(packet.ROUTE)] == packet.ROUTE
    assert sum(f.bits for f in packet.ROUTE) == 64


@pytest.mark.parametrize("op", Op)
@given(data=st.data())
def test_disassemble_inverts_assemble(op, data):
    values = data.draw(values_of(FORMATS[op]))
    del values["op"]
    word = assemble(op, **values)
    assert disassemble(word) == (op, {"op": op, **values})


def test_assemble_defaults_to_zero():
    op, fields = disassemble(assemble(Op.WAIT, packets=3))
    assert op == Op.WAIT
    assert {name for name, value in fields.items() if value} == {"op", "packets"}


PAIR = Format((Field("a", 3), Field("b", 4, signed=True)))


@pytest.mark.parametrize(("values", "message"), [
    ({"a": 8, "b": 0}, "a must fit 3 bits, not 8"),
    ({"a": -1, "b": 0}, "a must fit 3 bits, not -1"),
    ({"a": 0, "b": 8}, "b must fit 4 bits, not 8"),
    ({"a": 0, "b": -9}, "b must fit 4 bits, not -9"),
    ({"a": 0}, "expected fields ['a', 'b'], not ['a']"),
    ({"a": 0, "b": 0, "c": 0}, "expected fields ['a', 'b'], not ['a', 'b', 'c']")])
def test_refused_values(values, message):
    with pytest.raises(ValueError) as error:
        PAIR.pack(values)
    assert str(error.value) == message


def test_packing_order():
    """The first field is the lowest; signed fields wrap into their bits."""
    assert PAIR.pack({"a": 5, "b": -8}) == 0b1000_101
    assert PAIR.unpack(0b1111_001) == {"a": 1, "b": -1}


def test_an_unknown_operation():
    with pytest.raises(ValueError, match="10 is not a valid Op"):
        disassemble(10)
