"""Pieces of a design to Verilog, side by side in processes of their own."""

import gc
import os
import pickle
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from amaranth import Shape
from amaranth.back import rtlil
from amaranth.back.verilog import _convert_rtlil_text
from amaranth.hdl import Fragment
from amaranth.hdl._ast import SignalDict
from amaranth.hdl._ir import PortDirection, build_netlist
from amaranth.hdl._mem import MemoryInstance
from amaranth.lib.wiring import In

from ouroboros.hw.lib.pieces import Piece
from ouroboros.hw.lib.tidy import modules_of, tidied

__all__ = ["Progress", "convert", "without_collector"]

Progress = Callable[[int, int], None]
TASK_SIZE = 600
"""Of pieces, by ``_size``, that are worth a start of Yosys."""
_MODULE = re.compile(r"^module \\(\S+)", re.MULTILINE)


@contextmanager
def without_collector() -> Iterator[None]:
    """Netlists are millions of objects that live to the end: looking for garbage costs a third."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def convert(pieces: Sequence[Piece],
            progress: Progress = lambda done, total: None) -> list[dict[str, str]]:
    """Verilog of each piece: its own module and those parts of it that are no pieces, by name.

    The texts are as ``tidied`` makes them, and do not depend on how many processes share the work:
    as many as there are processors.

    Raises
    ------
    RuntimeError
        If one of them dies.
    """
    tasks = _tasks(pieces)
    workers = min(len(os.sched_getaffinity(0)), len(tasks)) if hasattr(os, "fork") else 1
    if workers < 2:
        with without_collector():
            found = []
            for n, task in enumerate(tasks):
                progress(n, len(tasks))
                found += _verilog(task)
    else:
        found = [texts for share in _shared(tasks, workers, progress) for texts in share]
    progress(len(tasks), len(tasks))
    texts = dict(zip((piece.name for task in tasks for piece in task), found, strict=True))
    return [texts[piece.name] for piece in pieces]


def _tasks(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces that go through Yosys together, as it takes long to start; large ones first."""
    tasks: list[list[Piece]] = []
    room = 0
    for piece in sorted(pieces, key=lambda piece: -_size(piece.fragment)):
        if room <= 0:
            tasks.append([])
            room = TASK_SIZE
        tasks[-1].append(piece)
        room -= _size(piece.fragment) + 1
    return tasks


def _shared(tasks: list[list[Piece]], workers: int,
            progress: Progress) -> list[list[dict[str, str]]]:
    """Texts of all tasks, from processes that take one after the other."""
    queue, ask = os.pipe()
    begun, tell = os.pipe()
    os.write(ask, bytes(range(len(tasks))))
    os.close(ask)
    with tempfile.TemporaryDirectory(prefix="ouroboros-emit-") as folder:
        answers = [Path(folder) / str(n) for n in range(workers)]
        children = [_fork(tasks, queue, tell, answer) for answer in answers]
        os.close(queue)
        os.close(tell)
        done = -workers
        while step := os.read(begun, len(tasks)):
            done += len(step)
            progress(max(done, 0), len(tasks))
        os.close(begun)
        for child in children:
            os.waitpid(child, 0)
        found: dict[int, list[dict[str, str]]] = {}
        for answer in answers:
            result = pickle.loads(answer.read_bytes()) if answer.exists() else RuntimeError(
                "a process that converts a part of the design must not die: is there too little "
                "memory?")
            if isinstance(result, Exception):
                raise result
            found |= result
    return [found[n] for n in range(len(tasks))]


def _fork(tasks: list[list[Piece]], queue: int, tell: int, answer: Path) -> int:
    """A process that works until the queue is empty; its number.

    It shares the netlists, which cannot be sent.
    """
    with warnings.catch_warnings():
        # Python warns of threads, whose locks might be held: nothing here takes one.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return child
    try:
        gc.disable()
        result = {}
        while task := os.read(queue, 1):
            os.write(tell, task)
            result[task[0]] = _verilog(tasks[task[0]])
    except Exception as error:
        result = error
    try:
        aside = answer.with_suffix(".part")
        aside.write_bytes(pickle.dumps(result))
        aside.rename(answer)
    finally:
        os._exit(0)


def _rtlil(piece: Piece) -> str:
    ports = {port: (value, PortDirection.Input if flow is In else PortDirection.Output)
             for port, flow, value in piece.ports}
    netlist = build_netlist(piece.fragment, ports=ports, name=piece.name)
    empty, builder, names = rtlil.EmptyModuleChecker(netlist), rtlil.Design(), SignalDict()
    for number, module in enumerate(netlist.modules):
        if not empty.is_empty(number):
            _Emitter(builder.module(".".join(module.name), src_loc=module.src_loc), netlist,
                     module, names, empty_checker=empty).emit()
    return str(builder)


class _Emitter(rtlil.ModuleEmitter):
    """Amaranth's, but for memories that begin with zeros, of which it writes every bit.

    ``tidied`` gives them a loop.
    """

    def emit_memory(self, cell_idx, cell):
        if any(cell.init):
            super().emit_memory(cell_idx, cell)


def _verilog(task: list[Piece]) -> list[dict[str, str]]:
    """Texts of each piece of a task."""
    texts = [_rtlil(piece) for piece in task]
    whole = modules_of(_convert_rtlil_text("\n".join(texts)))
    found = []
    for piece, text in zip(task, texts, strict=True):
        order = (*piece.clocks, *(port for port, _, _ in piece.ports))
        found.append({name: tidied(whole[name], order if name == piece.name else ())
                      for name in _MODULE.findall(text)})
    return found


def _size(fragment: Fragment) -> int:
    """About how long a piece takes."""
    own = sum(len(statements) for statements in fragment.statements.values())
    if isinstance(fragment, MemoryInstance):
        own += fragment._data.depth * Shape.cast(fragment._data.shape).width // 64
    return own + sum(_size(part) for part, _, _ in fragment.subfragments)
