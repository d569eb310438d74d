"""``import ouroboros``: the commands as plain functions that print nothing."""

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest

import ouroboros
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.lib.digest import digest_of
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models import integer, llama2c, tokenizer
from ouroboros.sw.models.tokenizer import Tokenizer
from ouroboros.sw.place.instance import read_instance
from ouroboros.sw.place.placement import load

RING = {"name": "ring", "tiles": 14, "W": 6, "H": 4, "die_w": 3, "die_h": 2, "lam": 3,
        "defects": [8], "edges": [[n, (n + 1) % 14, 10] for n in range(14)]}


@pytest.fixture
def silent(capfd):
    """Nothing is printed."""
    yield
    assert capfd.readouterr() == ("", "")


def test_machines_and_models(silent):
    assert ouroboros.machines()[0].name == "tiny"
    assert {"llama-13b", "llama-3-8b"} <= {one.name for one in ouroboros.models()}


def test_run(silent, tmp_path, make_checkpoint):
    llama2c.write(tmp_path / "model.bin", make_checkpoint(n_layers=1))
    pieces = [(b"<unk>", 0.0), (b"\n<s>\n", 0.0), (b"\n</s>\n", 0.0), (b" ", 0.0),
              *((bytes([ord("a") + n]), 0.0) for n in range(19))]
    tokenizer.write(tmp_path / "tok.bin", Tokenizer(pieces))
    found = ouroboros.run(machine="tiny", checkpoint=tmp_path / "model.bin", tokens=2,
                          tokenizer=tmp_path / "tok.bin", prompts=("abc", "d"))
    assert [text[0] for text in found.texts] == ["a", "d"]
    assert found.summary()["machine"] == "tiny"


def test_wafer(silent):
    found = ouroboros.wafer(model="llama-13b", members=2)
    assert found.best.members == 2
    written = json.loads(json.dumps(found.as_dict()))
    assert written["machine_digest"] == digest_of(load_machine("wafer"))
    faster = ouroboros.wafer(model="llama-13b", members=2, clock_ghz=2.0).as_dict()
    assert faster["latency_us"] == pytest.approx(written["latency_us"] / 2)
    with pytest.raises(FrozenInstanceError):
        found.objective = "prefill"


def test_map(silent, tmp_path):
    (tmp_path / "ring.json").write_text(json.dumps(RING))
    found = ouroboros.map(instance=tmp_path / "ring.json", moves=2000, dead="0,3")
    assert found.result.placement.grid.defects == (0, 3, 8)
    assert found.as_dict()["cost"] == found.result.placement.cost


def test_a_model_from_tiles_to_repairs(silent, tmp_path):
    """Files that options name are written, and read by the next."""
    (tmp_path / "ring.json").write_text(json.dumps(RING))
    placed = tmp_path / "p.json"
    mapped = ouroboros.map(instance=tmp_path / "ring.json", moves=2000, out=placed)
    assert load(placed).cost == mapped.result.placement.cost
    relieved = ouroboros.relieve(instance=tmp_path / "ring.json", placement=placed, share=0.5,
                                 target_flits=0, out=tmp_path / "q.json")
    assert load(tmp_path / "q.json").cost == relieved.placement.cost
    assert relieved.as_dict()["met"] is False
    life = ouroboros.repair(instance=tmp_path / "ring.json", placement=placed, faults=2)
    assert len(life.repairs) == 2
    with pytest.raises(OuroborosError, match="must be another file than is read, for out replac"):
        ouroboros.repair(instance=tmp_path / "ring.json", placement=placed, out=placed)
    (tmp_path / "mine.json").write_text("mine")
    with pytest.raises(OuroborosError, match=r"mine\.json: must be a new file"):
        ouroboros.map(instance=tmp_path / "ring.json", moves=10, out=tmp_path / "mine.json")


def test_tile(silent, tmp_path):
    found = ouroboros.tile(model="bert-large", members=2, out=tmp_path / "i.json")
    assert read_instance(tmp_path / "i.json").tiles == found.instance.tiles == 865
    written = json.loads(json.dumps(found.as_dict()))
    assert written["cores"]["tiles"] == 865
    assert written["ports"][0] == {"kind": "embed", "cores": 1, "flits_in": 2.0,
                                   "flits_out": 108.0}


def test_quantise_and_predict(silent, tmp_path, monkeypatch, make_checkpoint):
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path / "cache"))
    llama2c.write(tmp_path / "model.bin", make_checkpoint(n_layers=1))
    found = ouroboros.quantise(checkpoint=tmp_path / "model.bin", tokens=20,
                               out=tmp_path / "model.npz")
    assert integer.load(tmp_path / "model.npz").digest == found.model.digest
    assert found.as_dict()["evaluation"]["tokens"] >= 20
    assert "evaluation" not in ouroboros.quantise(
        checkpoint=tmp_path / "model.bin", tokens=0).as_dict()
    cycles = ouroboros.predict(machine="tiny", checkpoint=tmp_path / "model.bin",
                               prompt_tokens=4, context=6, sequences="1,2")
    assert [one.sequences for one in cycles.decode] == [1, 2]
    assert cycles.as_dict()["prefill_cycles"] == cycles.prediction.prefill_cycles
    with pytest.raises(OuroborosError, match=r"^sequences must be between 1 and "):
        ouroboros.predict(machine="tiny", checkpoint=tmp_path / "model.bin", prompt_tokens=4,
                          context=6, sequences="99")


@pytest.mark.long
def test_emit(silent, tmp_path):
    found = ouroboros.emit(machine="tiny", out=tmp_path / "tiny", twin=True)
    assert found.manifest["machine_digest"] == digest_of(load_machine("tiny"))
    assert sum(path.stat().st_size for path in found.path.iterdir()
               if path.name != "manifest.json") == found.manifest["bytes"]


def test_refused():
    with pytest.raises(OuroborosError, match=r"^tokens must be at least 1, not 0$"):
        ouroboros.run(prompts=("a",), tokens=0)
    with pytest.raises(OuroborosError, match=r"^option must be one of model, machine, context, "):
        ouroboros.wafer(prompts=("a",))
    with pytest.raises(OuroborosError, match=r"^share must be at least 0, not -1$"):
        ouroboros.relieve(instance="i.json", placement="p.json", share=-1)
    with pytest.raises(AttributeError, match=r"^module 'ouroboros' has no attribute 'fly'$"):
        ouroboros.fly(1)


def test_importing_is_quick():
    done = subprocess.run([sys.executable, "-c", "import ouroboros, sys; print(*sys.modules)"],
                          capture_output=True, text=True, check=True)
    assert not {"numpy", "numba", "click", "amaranth"} & {*done.stdout.split()}
