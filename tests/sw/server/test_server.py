"""The server and real clients: texts as alone, whoever comes and goes; clear answers to the bad."""

import json
import signal
import socket
import threading
import time
import urllib.error
import urllib.request

import openai
import pytest

pytestmark = pytest.mark.long

PROMPTS = ("Once upon a time", "The dog wanted to")


def chat(server, prompt, tokens, **options):
    return server.client.chat.completions.create(
        model="tales", messages=[{"role": "user", "content": prompt}], max_tokens=tokens,
        **{"temperature": 0, "stream": True, **options})


def said(stream):
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def post(server, path, body, headers=()):
    """Status, headers and answer of a request of raw bytes."""
    request = urllib.request.Request(f"{server.url}{path}", body, dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, json.load(error)


def metric(server, name):
    with urllib.request.urlopen(f"{server.url}metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


def wait_for(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


def test_two_chats_and_one_disconnects(server):
    """The other one's text is what it is alone."""
    alone = said(chat(server, PROMPTS[1], 40))
    assert alone == server.text(PROMPTS[1], 40)
    first, second = chat(server, PROMPTS[0], 200), chat(server, PROMPTS[1], 40)
    for _ in range(4):
        next(first)
    got = [next(second).choices[0].delta.content or "" for _ in range(3)]
    assert metric(server, "ouroboros_requests_under_way") == 2
    first.response.close()
    wait_for(lambda: metric(server, "ouroboros_requests_under_way") < 2)
    assert "".join(got) + said(second) == alone
    wait_for(lambda: metric(server, "ouroboros_requests_under_way") == 0)
    assert metric(server, 'ouroboros_requests_total{finished="cancelled"}') == 1
    assert metric(server, "ouroboros_kv_blocks_held") == 0


def test_a_client_of_a_whole_answer_vanishes(server):
    before = metric(server, 'ouroboros_requests_total{finished="cancelled"}')
    body = json.dumps({"model": "tales", "prompt": "One day", "max_tokens": 240,
                       "temperature": 0}).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s"
                     % (len(body), body))
        wait_for(lambda: metric(server, "ouroboros_requests_under_way") == 1)
    wait_for(lambda: metric(server, "ouroboros_requests_under_way") == 0)
    assert metric(server, 'ouroboros_requests_total{finished="cancelled"}') == before + 1


def test_stop_text_limits_and_counts(server):
    whole = server.text("One day", 30)
    stop = whole[20:24]
    answer = server.client.completions.create(model="tales", prompt="One day", max_tokens=30,
                                              temperature=0, stop=[stop, "\x00 never"])
    assert answer.choices[0].text == whole[:whole.index(stop)]
    assert answer.choices[0].finish_reason == "stop" and answer.usage.completion_tokens < 30
    *parts, last = chat(server, "One day", 5, stream_options={"include_usage": True})
    assert last.usage.completion_tokens == 5 and last.choices == []
    assert parts[-1].choices[0].finish_reason == "length"


def test_draws_follow_the_seed(server):
    drawn = [server.text("One day", 20, temperature=1.5, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] != server.text("One day", 20)


def test_ids_of_tokens_are_a_prompt(server):
    assert server.text([1, 300, 20], 5) == server.text([1, 300, 20], 5)


def test_models_and_pages(server):
    [model] = server.client.models.list().data
    assert model.id == "tales" and server.client.models.retrieve("tales").id == "tales"
    with pytest.raises(openai.NotFoundError, match="model must be 'tales', not 'other'"):
        server.client.models.retrieve("other")
    stream = chat(server, PROMPTS[0], 200)
    for _ in range(3):
        next(stream)
    with urllib.request.urlopen(server.url, timeout=60) as answer:
        page = answer.read().decode()
    assert "requests under way</td><td>1 of 3" in page and "<svg" in page
    stream.response.close()


def test_more_requests_than_places(server):
    """429, and when to come again; those under way go on."""
    alone = server.text(PROMPTS[0], 60)
    streams = [chat(server, PROMPTS[0], 60) for _ in range(3)]
    for stream in streams:
        next(stream)
    with pytest.raises(openai.RateLimitError, match="3 requests are under way") as refused:
        server.text("One day", 3)
    assert int(refused.value.response.headers["retry-after"]) >= 1
    assert [said(stream) for stream in streams] == [alone] * 3
    assert server.text("One day", 3)


def test_names_of_requests(server):
    """One name is in use once; unknown ones cannot be cancelled."""
    stream = chat(server, PROMPTS[0], 200, extra_headers={"x-request-id": "mine"})
    next(stream)
    with pytest.raises(openai.ConflictError, match="not 'mine'"):
        chat(server, PROMPTS[0], 2, extra_headers={"x-request-id": "mine"})
    assert post(server, "v1/requests/other/cancel", b"")[0] == 404
    assert post(server, "v1/requests/mine/cancel", b"")[2] == {"id": "mine", "cancelled": True}
    with pytest.raises(openai.APIError, match="ended before its text: cancelled"):
        said(stream)
    wait_for(lambda: metric(server, "ouroboros_requests_under_way") == 0)
    assert post(server, "v1/requests/mine/cancel", b"")[0] == 404


GOOD = {"model": "tales", "prompt": "One day", "max_tokens": 2, "temperature": 0}


@pytest.mark.parametrize(("change", "words"), [
    ({"prompt": "word " * 2000}, "the prompt must be at most 255 tokens"),
    ({"prompt": []}, "prompt must be a text, or a list of token ids"),
    ({"prompt": ["a", "b"]}, "prompt must be a text"),
    ({"prompt": [1, 512]}, "token ids of 0 to 511, not 512"),
    ({"max_tokens": 0}, "max_tokens must be a whole number of 1"),
    ({"max_tokens": 1.5}, "max_tokens must be a whole number"),
    ({"temperature": -1}, "temperature must be 0 to 2, not -1"),
    ({"temperature": "hot"}, "temperature must be 0 to 2, not 'hot'"),
    ({"top_p": 0}, "top_p must be above 0"),
    ({"n": 2}, "n is not served here"),
    ({"logprobs": 3}, "logprobs is not served here"),
    ({"stop": ["a"] * 5}, "stop must be a text or up to 4"),
    ({"stop": ""}, "stop must be a text or up to 4"),
    ({"stream": 1}, "stream must be true or false"),
    ({"wishes": 3}, "wishes is not known here"),
    ({"model": "gpt"}, "model must be 'tales', not 'gpt'")],
    ids=lambda value: value if isinstance(value, str) else None)
def test_what_is_refused_by_name(server, change, words):
    status, _, answer = post(server, "v1/completions", json.dumps(GOOD | change).encode())
    assert status in (400, 404) and words in answer["error"]["message"]


@pytest.mark.parametrize(("messages", "words"), [
    ([], "messages must be a list of at least one"),
    ([{"role": "cat", "content": "x"}], "messages[0].role must be one of"),
    ([{"role": "user"}], "messages[0].content must be a text"),
    ([{"role": "user", "content": [{"type": "image_url"}]}], "messages[0].content must be")])
def test_messages_that_are_refused(server, messages, words):
    status, _, answer = post(server, "v1/chat/completions", json.dumps(
        {"model": "tales", "messages": messages}).encode())
    assert status == 400 and words in answer["error"]["message"]


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff\xfe", b"", b"[" * 15000],
                         ids=["cut", "list", "bytes", "empty", "deep"])
def test_bodies_that_are_no_json(server, body):
    status, _, answer = post(server, "v1/completions", body)
    assert status == 400 and answer["error"]["message"].startswith("body must be")


def test_bodies_without_end(server):
    """Too large, or too slow: answered, while others are served."""
    status, _, answer = post(server, "v1/completions", b" " * 20001)
    assert status == 413 and "at most 20,000 bytes" in answer["error"]["message"]
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\n"
                     b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n")
        assert server.text("One day", 2)
        assert line.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_time_is_up(make_server):
    server = make_server("--request-s", "0.5")
    with pytest.raises(openai.InternalServerError, match=r"must have ended within 0\.5 s"):
        server.text(PROMPTS[0], 200)
    with pytest.raises(openai.APIError, match=r"must have ended within 0\.5 s"):
        said(chat(server, PROMPTS[0], 200))
    wait_for(lambda: metric(server, "ouroboros_requests_under_way") == 0)
    assert server.text("One day", 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_a_signal_drains(make_server, number):
    """What is under way comes to its end, nothing new is taken, then it ends well."""
    server = make_server()
    alone = said(chat(server, PROMPTS[0], 60))
    stream = chat(server, PROMPTS[0], 60)
    got = next(stream).choices[0].delta.content
    server.process.send_signal(number)
    found = []
    reader = threading.Thread(target=lambda: found.append(said(stream)))
    reader.start()
    refused = None
    while reader.is_alive() and refused is None:
        try:
            server.text("One day", 1)
        except openai.InternalServerError as error:
            refused = error
    reader.join()
    assert got + found[0] == alone
    assert refused is not None and refused.status_code == 503
    assert "the server is stopping" in str(refused)
    assert server.process.wait(30) == 0, server.log.read_text()


def test_a_key_is_asked_for(make_server, tmp_path):
    path = tmp_path / "key"
    path.write_text("secret\n")
    server = make_server("--api-key-file", str(path))
    assert server.text("One day", 1)
    for other in ("wrong", "sécret"):
        status, _, answer = post(server, "v1/completions", json.dumps(GOOD).encode(),
                                 {"authorization": f"Bearer {other}".encode("latin-1")})
        assert status == 401 and answer["error"]["code"] == "invalid_api_key"
    assert post(server, "v1/completions", json.dumps(GOOD).encode())[0] == 401
