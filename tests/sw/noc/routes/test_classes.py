import pytest

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.packet import TABLE_ADDRESS, Port, Turn
from ouroboros.sw.noc.routes.classes import Channel, Hop, RouterTables, class_path
from ouroboros.sw.noc.routes.xy import path

MESH = MeshParams(width=4, height=3, die_width=2, die_height=3)
N, E, S, W, L = Port
C0, C1, T, A = Channel


def test_class_0_is_xy():
    for source, end in (((1, 1), (4, 3)), ((0, 2), (3, 1)), ((2, 2), (5, 1)), ((2, 2), (2, 2))):
        assert class_path(source, end, (0, 0), 0, MESH) == [
            Hop(at, port, C0) for at, port in path(source, end, MESH)]


def test_waypoint():
    assert class_path((1, 1), (3, 1), (2, 2), 1, MESH) == [
        Hop((1, 1), E, C0), Hop((2, 1), S, C0), Hop((2, 2), E, C1), Hop((3, 2), N, C1),
        Hop((3, 1), L, C1)]
    # To a west edge port by a waypoint; a waypoint of the source itself changes class at once.
    assert class_path((2, 1), (0, 1), (2, 2), 1, MESH) == [
        Hop((2, 1), S, C0), Hop((2, 2), W, C1), Hop((1, 2), N, C1), Hop((1, 1), W, C1)]
    assert class_path((1, 1), (2, 1), (1, 1), 1, MESH) == [
        Hop((1, 1), E, C1), Hop((2, 1), L, C1)]


def test_dead_port_drops():
    tables = RouterTables(dead_ports={(2, 1): 1 << E})
    assert class_path((1, 1), (3, 1), (0, 0), 0, MESH, tables) == [
        Hop((1, 1), E, C0), Hop((2, 1), None, C0)]


def test_tables():
    # From (1, 1) to core number 5 of die 1 by (2, 1), (2, 2), (3, 2).
    dies = {(1, 1): [Turn.ARRIVED, Turn.EAST], (2, 1): [Turn.ARRIVED, Turn.SOUTH],
            (2, 2): [Turn.ARRIVED, Turn.EAST], (3, 2): [Turn.NORTH, Turn.ARRIVED]}
    cores = {(3, 2): [0, 0, 0, 0, 0, Turn.SOUTH], (3, 3): [0, 0, 0, 0, 0, Turn.EAST],
             (4, 3): [0, 0, 0, 0, 0, Turn.LOCAL]}
    tables = RouterTables(dies=dies, cores=cores)
    address = TABLE_ADDRESS.pack({"core": 5, "die": 1})
    way = (address & 127, address >> 7)
    assert class_path((1, 1), (4, 3), way, 2, MESH, tables) == [
        Hop((1, 1), E, T), Hop((2, 1), S, T), Hop((2, 2), E, T), Hop((3, 2), S, A),
        Hop((3, 3), E, A), Hop((4, 3), L, A)]
    cores[3, 3][5] = Turn.NONE
    assert class_path((1, 1), (4, 3), way, 2, MESH, tables)[-1] == Hop((3, 3), None, A)
    cores[3, 3][5] = Turn.NORTH
    with pytest.raises(ValueError, match=r"^packet from \(1, 1\) to \(4, 3\) goes round in a "
                                         r"circle$"):
        class_path((1, 1), (4, 3), way, 2, MESH, tables)
