"""Random traffic on a mesh of bare routers: unicast, multicast, hot spots, stalls, wrong packets.

Reads WIDTH, HEIGHT, VCS, DEPTH, PACKETS and STALL from the environment.
"""

import os
import random
from itertools import count

import cocotb

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.noc import NocParams
from ouroboros.sw.noc.routes.xy import labels_for, path
from ouroboros.tb.noc.mesh_driver import MeshDriver
from ouroboros.tb.noc.packets import packet

LABELS = 16
PACKETS = int(os.environ["PACKETS"])
STALL = float(os.environ["STALL"])


class Bench:
    """A driver, and packets with running numbers."""

    def __init__(self, dut):
        width, height = int(os.environ["WIDTH"]), int(os.environ["HEIGHT"])
        self.noc = NocParams(vcs=int(os.environ["VCS"]), class1_vcs=0, class2_vcs=0,
                             vc_depth=int(os.environ["DEPTH"]),
                             labels=LABELS)
        self.mesh = MeshParams(width=width, height=height, die_width=width, die_height=height)
        self.driver = MeshDriver(dut, self.noc, self.mesh)
        self.driver.pick = random.choice
        self.places = self.driver.places
        self.cores = self.places[:width * height]
        self.serial = count(1)

    def stall(self, share):
        self.driver.idle = lambda place: random.random() < share
        self.driver.ready = lambda place: random.random() >= share

    def packet(self, source, destination=(0, 0), *, vc=None, length=None, **header):
        vc = random.randrange(self.noc.channels) if vc is None else vc
        length = random.randrange(9) if length is None else length
        return packet(vc, [random.getrandbits(self.noc.flit_bits) for _ in range(length)],
                      src_x=source[0], src_y=source[1], dst_x=destination[0],
                      dst_y=destination[1], spare=next(self.serial), ordered=1, **header)

    def unicast(self, source, destination, **fields):
        self.driver.send(self.packet(source, destination, **fields))

    async def groups(self, number):
        """Random multicast groups, their labels written to the routers."""
        groups = [(random.choice(self.places),
                   random.sample(self.places, random.randint(1, min(6, len(self.places)))))
                  for _ in range(number)]
        labels = labels_for(groups, self.mesh, LABELS)
        await self.driver.write_labels(labels.entries)
        return [(source, label, destinations) for (source, destinations), label
                in zip(groups, labels.numbers, strict=True)]

    def multicast(self, group, **fields):
        source, label, destinations = group
        self.driver.send(self.packet(source, label=label, **fields), destinations=destinations)


async def bench_of(dut):
    bench = Bench(dut)
    await bench.driver.reset()
    return bench


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def zero_load_latency(dut):
    """T = 3 + 2 H + (L - 1) from a port's ``i`` to another's ``o``, over H routers."""
    bench = await bench_of(dut)
    driver = bench.driver
    for _ in range(10):
        source, destination = random.sample(bench.places, 2)
        length = random.randrange(9)
        sent = bench.packet(source, destination, length=length)
        driver.send(sent)
        await driver.finish()
        serial = max(driver.came_at)
        hops = len(path(source, destination, bench.mesh))
        took = driver.came_at[serial] - driver.sent_at[serial]
        assert took == 3 + 2 * hops + length, f"{took} cycles over {hops} routers, length {length}"


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def random_traffic(dut):
    """Uniform unicast and multicast trees, every channel, stalls on both sides."""
    bench = await bench_of(dut)
    groups = await bench.groups(LABELS - 1)
    bench.stall(STALL)
    for _ in range(PACKETS):
        if random.random() < 0.7:
            bench.unicast(random.choice(bench.places), random.choice(bench.places))
        else:
            bench.multicast(random.choice(groups))
    await bench.driver.finish()
    assert bench.driver.dropped == 0


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def hot_spot(dut):
    """Everybody sends to one place and multicasts to all, which is the worst for deadlock."""
    bench = await bench_of(dut)
    sources = random.sample(bench.places, min(len(bench.places), LABELS - 1))
    labels = labels_for([(source, bench.places) for source in sources], bench.mesh, LABELS)
    await bench.driver.write_labels(labels.entries)
    bench.stall(STALL)
    hot = random.choice(bench.places)
    for _ in range(max(1, PACKETS // (3 * len(bench.places)))):
        for source in bench.places:
            for _ in range(2):
                bench.unicast(source, hot)
        for source, label in zip(sources, labels.numbers, strict=True):
            bench.multicast((source, label, bench.places))
    await bench.driver.finish()
    assert bench.driver.dropped == 0


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def stalled_sink(dut):
    """A place that takes nothing on channel 0 stops no other channel, and nothing for ever."""
    bench = await bench_of(dut)
    driver = bench.driver
    stuck = random.choice(bench.cores)
    others = [place for place in bench.places if place != stuck]
    half = others[::2]  # these send to the stuck place, the rest use the other channels
    driver.ready = lambda place: place != stuck
    for source in half:
        for _ in range(6):
            bench.unicast(source, stuck, vc=0, length=8)
    blocked = driver.left
    free = [source for source in others if source not in half]
    for _ in range(PACKETS // 2):
        bench.unicast(random.choice(free), random.choice(others),
                      vc=random.randrange(1, bench.noc.channels))
    limit = driver.cycle + 100 * PACKETS
    while driver.left > blocked:
        assert driver.cycle < limit, "a stalled sink blocks other channels"
        await driver.step()
    assert driver.left == blocked
    driver.ready = lambda place: True
    await driver.finish()


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def wrong_packets(dut):
    """Wrong packets among good ones are dropped, each counted, and hold nothing up."""
    bench = await bench_of(dut)
    bench.stall(STALL)
    beyond = bench.mesh.width + 2
    wrong = 0
    for _ in range(PACKETS // 2):
        source = random.choice(bench.places)
        bench.unicast(source, random.choice(bench.places))
        if random.random() < 0.5:
            bench.driver.send_wrong(source, random.choice([
                bench.packet(source, (beyond, 1)), bench.packet(source, (0, 0)),
                bench.packet(source, label=100), bench.packet(source, (1, 1), length=9)]))
            wrong += 1
    await bench.driver.finish()
    for _ in range(200):
        await bench.driver.step()
    assert bench.driver.dropped == wrong
