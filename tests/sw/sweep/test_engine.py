"""Sweeps: every combination once, kept at once, resumed; a lost worker costs nothing."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ouroboros.sw.api.wafer.sweep import KIND, SweepOptions, measure_wafer, sweep_wafer
from ouroboros.sw.lib.errors import FileError, OuroborosError
from ouroboros.sw.sweep import store as store_module
from ouroboros.sw.sweep.engine import run_points
from ouroboros.sw.sweep.errors import SweepError
from ouroboros.sw.sweep.point import point_digest
from ouroboros.sw.sweep.store import Store
from ouroboros.sw.sweep.table import csv_text

OVER = ("members=1,2,3", "clock_ghz=0.25,0.5,1", "context=128,256")
SAME = ("model=llama-7b",)


def squared(point):
    if point["n"] == 3:
        raise OuroborosError("n must not be 3")
    return {"square": point["n"] ** 2}


def test_kept_and_resumed(tmp_path):
    points = [{"n": n} for n in range(6)]
    store, ran, told = Store(tmp_path), [], []

    def counted(point):
        ran.append(point["n"])
        if len(ran) == 4:
            raise KeyboardInterrupt
        return squared(point)

    with pytest.raises(KeyboardInterrupt):
        run_points("k", points, counted, store)
    found = run_points("k", points, counted, store, progress=lambda *at: told.append(at))
    # The fourth point was under way when it was stopped, and is run again.
    assert ran == [0, 1, 2, 3, 3, 4, 5]
    assert told[0] == (3, 6) and told[-1] == (6, 6)
    assert found == [{"square": 0}, {"square": 1}, {"square": 4}, {"refused": "n must not be 3"},
                     {"square": 16}, {"square": 25}]
    assert run_points("k", points, counted, store) == found and len(ran) == 7


def test_digest_has_kind_point_and_files(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("a")
    point = {"trace": str(path)}
    before = point_digest("k", point)
    assert before == point_digest("k", dict(point)) != point_digest("j", point)
    path.write_text("b")
    assert point_digest("k", point) != before


def test_a_broken_file_counts_as_none(tmp_path):
    store = Store(tmp_path)
    store.put("k", {"n": 1}, {"a": 1})
    assert store.get("k", {"n": 1}) == {"a": 1}
    store.path("k", {"n": 1}).write_text('{"schema": "ouroboros-point-1", "fou')
    assert store.get("k", {"n": 1}) is None


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    points = [{"n": n} for n in (0, 1, 2)]
    store, real = Store(tmp_path), store_module.write

    def full(path, text):
        if '"n": 2' in text:
            raise FileError(f"{path}: {os.strerror(errno.ENOSPC)}")
        real(path, text)

    monkeypatch.setattr(store_module, "write", full)
    with pytest.raises(FileError, match="No space left on device"):
        run_points("k", points, squared, store)
    monkeypatch.undo()
    assert [store.get("k", point) for point in points] == [{"square": 0}, {"square": 1}, None]


def workers(process):
    """Worker processes below a process of this test."""
    return [child for child in process.children(recursive=True)
            if any("spawn_main" in word for word in child.cmdline())]


@pytest.mark.long
def test_a_lost_worker_costs_nothing(tmp_path):
    options = SweepOptions(over=OVER, settings=SAME)
    points, killed = options.points(), []

    def progress(done, total):
        if done == 4 and not killed:
            victim = workers(psutil.Process())[0]
            killed.append(victim.pid)
            victim.kill()

    found = run_points(KIND, points, measure_wafer, Store(tmp_path / "a"), on="local", workers=2,
                       progress=progress)
    here = run_points(KIND, points, measure_wafer, Store(tmp_path / "b"))
    assert killed and len(points) == 18 and found == here


def killed_and_resumed(folder, over, same, after):
    """A sweep on two workers, killed with all its processes, then resumed with a worker killed."""
    words = [word for text in over for word in ("--over", text)]
    words += [word for text in same for word in ("--set", text)]
    command = [sys.executable, "-m", "ouroboros.sw.cli.main", "sweep", *words, "--on", "local",
               "--store", str(folder / "store"), "--csv", str(folder / "resumed.csv")]

    def until(count, process):
        while len(list((folder / "store").glob("[0-9a-f]*.json"))) < count:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)

    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             start_new_session=True)
    until(after, first)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert not (folder / "resumed.csv").exists()
    kept = len(list((folder / "store").glob("[0-9a-f]*.json")))
    second = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(kept + 1, second)
    workers(psutil.Process(second.pid))[0].kill()
    said, wrong = second.communicate(timeout=3000)
    assert not second.returncode, wrong
    return kept, said, (folder / "resumed.csv").read_text()


@pytest.mark.long
def test_killed_and_resumed(tmp_path):
    kept, said, resumed = killed_and_resumed(tmp_path, OVER, SAME, 3)
    assert kept < 18 and "18 points, 0 refused" in said and "dashboard: http://127.0.0.1:" in said
    undisturbed = sweep_wafer(SweepOptions(over=OVER, settings=SAME, store=tmp_path / "other"))
    assert resumed == csv_text(undisturbed.table)


@pytest.mark.slow
def test_500_points(tmp_path):
    over = ("members=1,2,3,4", "clock_ghz=0.2,0.4,0.6,0.8,1", "context=64,128,256,512,1024",
            "defect_density_per_cm2=0,0.05,0.09,0.2,0.45")
    kept, said, resumed = killed_and_resumed(tmp_path, over, SAME, 100)
    assert 100 <= kept < 500 and "500 points, 0 refused" in said
    undisturbed = sweep_wafer(SweepOptions(over=over, settings=SAME, store=tmp_path / "other"))
    assert resumed == csv_text(undisturbed.table) and resumed.count("\n") == 501


@pytest.mark.parametrize(("on", "message"), [
    ("cloud", r"on must be here, local or dask://HOST\[:PORT\], not 'cloud'"),
    ("dask://", r"on must be here, local or dask://HOST\[:PORT\], not 'dask://'")])
def test_unknown_places(tmp_path, on, message):
    with pytest.raises(SweepError, match=message):
        run_points("k", [{"n": 1}], squared, Store(tmp_path), on=on)


def test_a_scheduler_that_does_not_answer(tmp_path, monkeypatch):
    monkeypatch.setattr("ouroboros.sw.sweep.engine.ANSWER_S", 1)
    with pytest.raises(SweepError, match=r"scheduler 127\.0\.0\.1:9 must answer within 1 s"):
        run_points("k", [{"n": 1}], squared, Store(tmp_path), on="dask://127.0.0.1:9")


def test_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="file"):
        Store(tmp_path / "file" / "store")
    assert Path(tmp_path / "file").read_text() == ""
