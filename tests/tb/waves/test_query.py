"""Questions about waves that were made by hand, so that the answers are known."""

import json
import re

import pytest
from click.testing import CliRunner
from vcd.reader import TokenKind, tokenize

from ouroboros.hw.params.isa import Op
from ouroboros.sw.runtime.waves import WavesError, description, views
from ouroboros.tb.waves.command import wave as command
from ouroboros.tb.waves.query import ask, overview
from ouroboros.tb.waves.views import write_views
from ouroboros.tb.waves.wave_file import WaveFile

WEST = "router.inputs__3"
SLOT = "core.controller.slots.slot2"


def pulses(*cycles, value=1):
    """A signal that holds ``value`` in these cycles."""
    return {cycle + 1: 0 for cycle in cycles} | dict.fromkeys(cycles, value)


@pytest.fixture
def story(make_wave, packet):
    """A token's packet comes from the west, its stage waits, computes and waits for a credit."""
    came = (20, 21, 22)
    return make_wave({
        f"{WEST}__valid": pulses(*came),
        f"{WEST}__flit": packet(came, sequence=3, position=7),
        "router.input_west.channel0.freed": pulses(23, 24, 25),
        f"{WEST}__credit": pulses(24, 26),
        f"{SLOT}$stage": {1: 1}, f"{SLOT}$sequence": {1: 3}, f"{SLOT}$position": {1: 7},
        f"{SLOT}$packets": {1: 2}, f"{SLOT}$counts_0_": {1: 1}, f"{SLOT}$credits": {1: 5},
        f"{SLOT}$state": {10: 2, 30: 1, 31: 5, 50: 4, 60: 3, 70: 0},
        "core.controller.slots.credit_ready": {1: 4},
        "core.controller.issue_array__valid": pulses(31),
        "core.controller.issue_array__ready": {1: 1},
        "core.controller.issue_array__payload$slot": {1: 2},
        "core.controller.issue_array__payload$instruction": {1: int(Op.MVM)},
        "core.controller.done_array__valid": pulses(49),
        "core.controller.done_array__payload$slot": {1: 2},
        "core.controller.lock": {55: 1}, "core.controller.lock_slot": {55: 4}})


def test_where_a_packet_went(story):
    lines = ask(WaveFile(story), "packet 3:7")
    assert lines[0] == ("DATA 0,1 to 1,1, sequence 3 position 7, embed operand 0 flits 0..1")
    assert lines[1].split() == "20 .. 22 router 1,1 in west vc 0, 3 flits".split()
    assert len(lines) == 2


def test_a_packet_whose_tail_did_not_pass(story):
    assert "its tail did not pass" in ask(WaveFile(story), "packet 3:7 1:21")[1]


def test_why_a_stage_waited(story):
    lines = ask(WaveFile(story), "stage embed 1:100")
    found = {match[2]: int(match[1]) for line in lines[1:lines.index("longest:")]
             if (match := re.match(r" *(\d+) +\S+%  (.*)", line))}
    assert found == {
        "no token: none of its slots is taken": 40, "no packet: operand 0 has 1 of 2": 20,
        "waits for the dispatcher": 1, "array runs its instruction": 19,
        "no token credit of counter 0": 10,
        "array locked by slot 4, between its LOAD and its MVM": 10}
    assert any(line.split() == ["10", "..", "29", *"token 3:7: no packet: operand 0 has 1 of "
                                "2".split()] for line in lines)


def test_a_credit_that_did_not_go_back(story):
    lines = ask(WaveFile(story), "credits 1,1")
    assert [line for line in lines if "west" in line and "LOST" not in line] == [
        "router 1,1 input west  vc 0:     3     3     2"]
    assert lines[-1] == "LOST 1: router 1,1 input west vc 0: no credit for the flits of cycles 24"


def test_what_a_core_did(story):
    lines = ask(WaveFile(story), "core 1,1 1:100")
    assert [line.split(maxsplit=2)[2] for line in lines[1:]] == [
        "slot 2           embed 3:7",
        "in west vc 0     DATA 0,1 to 1,1, sequence 3 position 7, embed operand 0 flits 0..1",
        "array            MVM of slot 2"]
    assert [line.split()[:2] for line in lines[1:]] == [["10", "60"], ["20", "3"], ["31", "19"]]


def test_values_have_names(story):
    lines = ask(WaveFile(story), f"values 1,1 {SLOT}$state 25:65")
    assert [line.split() for line in lines] == [
        ["25", "OPERAND"], ["30", "FETCH"], ["31", "RUN"], ["50", "CREDIT"], ["60", "UNIT"]]


@pytest.mark.parametrize(("query", "message"), [
    ("stage embed 1:101", "cycles must lie in those that were recorded, 1 to 100, not 101"),
    ("stage embed 0:5", "cycles must lie in those that were recorded, 1 to 100, not 0"),
    ("stage embed 9:5", "cycles must be FROM:TO with FROM <= TO, not 9:5"),
    ("values 1,1 core.controler.lock", "not 'core.controler.lock'; near: core.controller.lock"),
    ("values 1,1 lock", "not 'lock'; near: core.controller.lock"),
    ("values 2,1 core.controller.lock", "core must be one that was recorded, 1,1, not 2,1"),
    ("stage embd", "stage must be one of the program's, such as embed, not 'embd'"),
    ("stage l0.qkv", "core must be one that was recorded, 1,1, not 2,1"),
    ("stages embed", ("query must be one of core, packet, stage, credits, signals, values, not "
                      "'stages'; near: stage")),
    ("packet 4:7", "packet 4:7 passed no router that was recorded in cycles 1 to 100"),
    ("packet x", "packet must be SEQUENCE:POSITION, not 'x'"),
    ("signals 1,1 nothing", "must have 'nothing' in their names"),
    ("core 11", "core must be X,Y, not '11'")])
def test_questions_that_cannot_be_answered(story, query, message):
    with pytest.raises(WavesError, match=re.escape(message)):
        ask(WaveFile(story), query)


def test_files_that_are_none(tmp_path, story):
    other = tmp_path / "other.vcd"
    for text, message in ((None, "there must be such a file"), ("text", "must be a file of waves"),
                          ("", "must be a file of waves")):
        if text is not None:
            other.write_text(text)
        with pytest.raises(WavesError, match=message):
            WaveFile(other)
    other.write_bytes(story.read_bytes())
    with pytest.raises(WavesError, match=r"needs .*waves.json"):
        WaveFile(other)
    text = description(story).read_text()
    description(story).write_text(text.replace("ouroboros-waves-1", "ouroboros-waves-9"))
    with pytest.raises(WavesError, match="must be as --waves wrote it"):
        WaveFile(story)


def test_command(story, tmp_path):
    out = tmp_path / "a.json"
    result = CliRunner().invoke(command, [str(story), "--query", "credits", "--json", str(out)])
    assert result.exit_code == 0 and "LOST 1" in result.output
    assert json.loads(out.read_text())["answers"]["credits"][-1].startswith("LOST 1")
    result = CliRunner().invoke(command, [str(story)])
    assert "core 1,1: embed" in result.output and result.output.splitlines()[0] == (
        overview(WaveFile(story))[0])


def test_views_show_signals_that_there_are(story):
    wave = WaveFile(story)
    write_views(wave)
    known = set(wave.full_names((1, 1)).values())
    folder = views(story)
    added = re.findall(r"variable_add (\S+)", (folder / "view.sucl").read_text())
    assert added and set(added) <= known
    text = (folder / "view.gtkw").read_text()
    traced = re.findall(r"(?:\(\d+\)|^\+\{[^}]*\} )(die\.[^\s\[]+)", text, re.MULTILINE)
    assert traced and set(traced) <= known
    assert "+{state} die.tile_1_1.body.core.controller.slots.slot2$state[2:0]" in text
    for name in re.findall(r"^\^\d+ (\S+)", text, re.MULTILINE):
        assert (folder / name).exists()
    states = (folder / "core.controller.slots.slot_state.3.txt").read_text().splitlines()
    assert "4 CREDIT" in states
    assert (folder / "stages_1_1.2.txt").read_text() == "1 embed\n"


def test_transactions_as_texts_and_as_a_time_line(story):
    write_views(WaveFile(story))
    events = json.loads((views(story) / "transactions.json").read_text())["traceEvents"]
    slices = [(event["name"], event["ts"], event["dur"], event["args"]["kind"]) for event in events
              if event["ph"] == "X"]
    assert ("embed 3:7", 10, 60, "token") in slices
    assert ("MVM of slot 2", 31, 19, "product") in slices
    assert [one for one in slices if one[0].startswith("DATA 0,1 to 1,1, sequence 3")]
    with (views(story) / "transactions.vcd").open("rb") as file:
        texts = [token.string_change.value for token in tokenize(file)
                 if token.kind is TokenKind.CHANGE_STRING]
    assert "MVM_of_slot_2" in texts and "CREDIT" in texts and "embed_3:7" in texts
