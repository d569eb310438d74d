"""Traces, lengths, rates, metrics: definitions against figures by hand, refusals by name."""

import numpy as np
import pytest

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.wafer.clocks import clocks
from ouroboros.sw.wafer.metrics import summary
from ouroboros.sw.wafer.requests import at_rate, of_lengths, read_trace
from ouroboros.sw.wafer.run import Run, Traffic
from ouroboros.sw.wafer.saturation import find_rate

HEAD = "arrival_s,input_tokens,output_tokens\n"


def write(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    return path


def test_a_trace(tmp_path):
    found = read_trace(write(tmp_path, HEAD + "2.5,10,3\n2.5,7,1\n4,1,2\n"))
    assert found.arrivals_s.tolist() == [0, 0, 1.5]
    assert (found.prompts.tolist(), found.outputs.tolist()) == ([10, 7, 1], [3, 1, 2])
    assert found.longest == 13 and found.name == "t.csv"
    assert found.at(2e9).arrivals.tolist() == [0, 0, 3_000_000_000]
    assert len(read_trace(tmp_path / "t.csv", 2).prompts) == 2


@pytest.mark.parametrize(("text", "message"), [
    (HEAD, "t.csv: must have at least one request below its head line"),
    (HEAD + "0,1,1\n1,0,1\n",
     "t.csv, line 3: input_tokens must be 1 to 16,777,216, not '0'"),
    (HEAD + "0,1,x\n", "t.csv, line 2: output_tokens must be a whole number, not 'x'"),
    (HEAD + "3,1,1\n1,2,1\n",
     "t.csv, line 3: arrival_s must be at least 3, that of the line before, not '1'"),
    ("a,b\n1,2\n",
     "t.csv: must have the columns arrival_s, input_tokens, output_tokens, not a, b")])
def test_broken_traces(tmp_path, text, message):
    with pytest.raises(OuroborosError) as error:
        read_trace(write(tmp_path, text))
    assert str(error.value).endswith(message)


def test_rates(tmp_path):
    found = read_trace(write(tmp_path, HEAD + "0,1,1\n1,1,1\n4,1,1\n"))
    assert at_rate(found, "x4", 0).arrivals_s.tolist() == [0, 0.25, 1]
    assert at_rate(found, "2", 0).arrivals_s.tolist() == [0, 0.25, 1]
    assert not at_rate(found, "all", 0).arrivals_s.any()
    alike = of_lengths("512:128", 4000)
    drawn = at_rate(alike, "50", 1).arrivals_s
    assert np.array_equal(drawn, at_rate(alike, "50", 1).arrivals_s)
    assert not np.array_equal(drawn, at_rate(alike, "50", 2).arrivals_s)
    assert drawn[0] == 0 and np.diff(drawn).mean() == pytest.approx(1 / 50, rel=0.05)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: of_lengths("512", 1), ("lengths must be tokens of prompt and output, such as 512:128, "
     "each 1 to 16,777,216, not '512'")),
    (lambda: of_lengths("0:4", 1), ("lengths must be tokens of prompt and output, such as 512:128, "
     "each 1 to 16,777,216, not '0:4'")),
    (lambda: at_rate(of_lengths("1:1", 1), "fast", 0), ("rate must be 'all', a number of requests "
     "a second, or a factor such as x20, not 'fast'")),
    (lambda: at_rate(of_lengths("1:1", 1), "x0", 0), ("rate must be 'all', a number of requests a "
     "second, or a factor such as x20, not 'x0'")),
    (lambda: find_rate(lambda _: {}, {}), ("a rate is searched for limits of latency: give "
     "--ttft-ms, --tpot-ms or --e2e-ms"))])
def test_refused(call, message):
    with pytest.raises(OuroborosError) as error:
        call()
    assert str(error.value) == message


def ran(arrivals, outputs, first, end, served):
    count = len(arrivals)
    return Run(traffic=Traffic(np.array(arrivals), np.full(count, 10), np.array(outputs)),
               served=np.array(served), generated=np.where(served, outputs, 0),
               preemptions=np.zeros(count, np.int64), first=np.array(first), end=np.array(end),
               by_context=np.zeros(2, np.int64), recomputed=0, poisoned=0, frees=0, injected=0,
               cycles=max(end), kv_share=0, kv_peak=0, sequences=0, long_tokens=0, nodes=0)


def test_latencies_as_vllm_defines_them():
    run = ran([0, 100, 100, 0], [5, 1, 3, 9], [50, 400, 200, 0], [250, 400, 600, 0],
              [True, True, True, False])
    found = summary(run, 100.0, {"ttft": 1.0, "tpot": 0.5})
    # 50, 300 and 100 cycles of 10 ms; 200 / 4 and 400 / 2 of the two with several tokens.
    assert found["ttft_s"]["mean"] == pytest.approx(1.5)
    assert found["ttft_s"]["p50"] == pytest.approx(1.0)
    assert found["tpot_s"]["mean"] == pytest.approx((0.5 + 2.0) / 2)
    assert found["e2e_s"]["p50"] == pytest.approx(3.0)
    assert (found["requests"], found["requests_refused"], found["tokens_refused"]) == (3, 1, 19)
    assert found["seconds"] == 6.0 and found["output_tokens_per_s"] == pytest.approx(9 / 6)
    assert found["tokens_per_s"] == pytest.approx(39 / 6)
    # The first holds both limits; the second is late; the third's tokens are slow.
    assert found["goodput_requests_per_s"] == pytest.approx(1 / 6)


def test_a_rate_is_found():
    calls = []

    def metrics(factor):
        calls.append(factor)
        return {"requests": 1, "requests_refused": 0, "ttft_s": {"p99": factor}}
    found = find_rate(metrics, {"ttft": 5.0})
    assert 5.0 / 2 ** (1 / 32) < found.factor <= 5.0
    assert found.found["ttft_s"]["p99"] == found.factor
    assert [factor for factor, _ in found.tried] == calls
    assert find_rate(metrics, {"ttft": 0.3}).factor <= 0.3
    with pytest.raises(OuroborosError, match="no rate holds them"):
        find_rate(lambda _: {"requests": 1, "ttft_s": {"p99": 9}}, {"ttft": 5.0})


def test_clocks_have_sources():
    assert all(clock.source and clock.unit == "GHz" for clock in clocks().values())
    assert len(clocks()) == 3
