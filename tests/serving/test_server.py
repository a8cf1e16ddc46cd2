"""A real server in a process of its own, asked by OpenAI's client, by curl and by rude clients."""

import asyncio
import dataclasses
import json
import shutil
import signal
import socket
import subprocess
import sys
import time

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from gemini_workshop.benchmarks.serve import running_server
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.conversations.templates import GEMMA, Message
from gemini_workshop.data.tokenizers import prompt_ids
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.decode import generate, generate_batch, text_pieces
from tests.serving.conftest import TOKENIZER

HELLO = [{"role": "user", "content": "hello there"}]
MODEL = "tiny-chat"
MANY = 4000  # tokens; writing them takes half a minute
NO_END = {str(TOKENIZER.end_of_text_id): -100}


@pytest.fixture(scope="module")
def model(folder):
    return load_pretrained(folder)[0]


@pytest.fixture
def client(server):
    with OpenAI(base_url=server[0], api_key="none", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
def health(server):
    return lambda: httpx.get(server[0].removesuffix("/v1") + "/health").json()


def chat_ids(text):
    return GEMMA.encode([Message("user", text)], TOKENIZER, add_generation_prompt=True).ids


def alone(model, ids, seed, number, stop_strings=()):
    """What the engine writes without a server."""
    config = GenerationConfig(seed=seed, max_new_tokens=number)
    ends = {TOKENIZER.end_of_text_id, TOKENIZER.special_tokens[GEMMA.end]}
    return "".join(text_pieces(generate(model, ids, config, stop_ids=ends), TOKENIZER, stop_strings))


def wait_until(is_so, seconds=20):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_model_is_listed_and_no_other_is_known(client):
    (only,) = client.models.list().data
    assert (only.id, only.object) == (MODEL, "model")
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError, match=r"There is no model 'tiny'\. Did you mean 'tiny-chat'"):
        client.models.retrieve("tiny")
    with pytest.raises(openai.NotFoundError) as error:
        client.chat.completions.create(model="gpt-5", messages=HELLO)
    assert error.value.code == "model_not_found"


def test_a_chat_is_answered_as_the_engine_answers_alone(client, model):
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, seed=5, max_tokens=30)
    ids = chat_ids("hello there")
    assert answer.choices[0].message.content == alone(model, ids, 5, 30)
    assert answer.choices[0].message.role == "assistant"
    assert answer.usage.prompt_tokens == len(ids)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    limited = client.chat.completions.create(model=MODEL, messages=HELLO, seed=5, max_completion_tokens=3)
    assert (limited.choices[0].finish_reason, limited.usage.completion_tokens) == ("length", 3)


def test_a_stream_is_the_same_text_in_pieces(client):
    ask = {"model": MODEL, "messages": HELLO, "seed": 6, "max_tokens": 40, "n": 2}
    whole = client.chat.completions.create(**ask)
    texts, reasons, usages = ["", ""], [None, None], []
    chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    for chunk in chunks:
        usages.append(chunk.usage)
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason or reasons[choice.index]
    assert texts == [choice.message.content for choice in whole.choices]
    assert reasons == [choice.finish_reason for choice in whole.choices]
    assert usages[-1] == whole.usage
    assert set(usages[:-1]) == {None}
    assert chunks[-1].choices == []
    assert len(chunks) > 20


def test_each_of_n_texts_takes_the_next_seed(client, model):
    answer = client.completions.create(model=MODEL, prompt=["hello", "there"], n=2, seed=8, max_tokens=12)
    prompts = [prompt_ids(TOKENIZER, text) for text in ("hello", "hello", "there", "there")]
    config = GenerationConfig(max_new_tokens=12)
    for i, (choice, ids) in enumerate(zip(answer.choices, prompts, strict=True)):
        own = dataclasses.replace(config, seed=8 + i)
        tokens = list(generate(model, ids, own, stop_ids={TOKENIZER.end_of_text_id}))
        assert (choice.index, choice.text) == (i, "".join(text_pieces(tokens, TOKENIZER)))
    assert answer.usage.prompt_tokens == len(prompts[0]) + len(prompts[2])
    first, second = (client.completions.create(model=MODEL, prompt="hello").choices[0].text for _ in range(2))
    assert first != second  # without a seed, a new one


def test_token_ids_are_read_as_they_are(client):
    ids = prompt_ids(TOKENIZER, "hello")
    texts = [
        client.completions.create(model=MODEL, prompt=prompt, seed=1, max_tokens=9).choices[0].text
        for prompt in ("hello", ids, [ids])
    ]
    assert len(set(texts)) == 1


def test_log_probabilities_are_the_engines(client, model):
    ids = chat_ids("hello there")
    (expected,) = generate_batch(model, [ids], GenerationConfig(seed=3, max_new_tokens=6), num_top=2)
    ask = {"model": MODEL, "seed": 3, "max_tokens": 6}
    answer = client.chat.completions.create(**ask, messages=HELLO, logprobs=True, top_logprobs=2)
    content = answer.choices[0].logprobs.content
    assert [token.logprob for token in content] == pytest.approx(expected.logprobs, abs=1e-4)
    for token, top in zip(content, expected.top_logprobs, strict=True):
        assert [other.logprob for other in token.top_logprobs] == pytest.approx([value for _, value in top], abs=1e-4)
    said = b"".join(bytes(token.bytes) for token in content)
    assert said.decode(errors="replace") == answer.choices[0].message.content
    plain = client.completions.create(**ask, prompt=ids, logprobs=2).choices[0]
    assert plain.logprobs.token_logprobs == pytest.approx(expected.logprobs, abs=1e-4)
    assert plain.logprobs.text_offset[0] == 0
    stream = client.chat.completions.create(**ask, messages=HELLO, logprobs=True, stream=True)
    pieces = [chunk.choices[0].logprobs.content for chunk in stream]
    assert [token.logprob for piece in pieces for token in piece] == pytest.approx(expected.logprobs, abs=1e-4)


def test_a_text_ends_before_a_stop_string_and_its_tokens_are_not_counted_as_shown(client, model):
    ids = chat_ids("hello there")
    whole = alone(model, ids, 5, 30)
    stop = whole[10:12]
    ask = {"model": MODEL, "messages": HELLO, "seed": 5, "max_tokens": 30, "stop": stop, "logprobs": True}
    (choice,) = client.chat.completions.create(**ask).choices
    assert choice.message.content == whole.partition(stop)[0] == alone(model, ids, 5, 30, [stop])
    assert choice.finish_reason == "stop"
    said = b"".join(bytes(token.bytes) for token in choice.logprobs.content)
    assert said.decode(errors="replace") == choice.message.content
    pieces = client.chat.completions.create(**ask, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in pieces) == choice.message.content


def test_fifty_chats_at_once_get_what_each_gets_alone(server, model):
    """None is lost, and none is mixed up with another."""
    said = [f"hello {i} " * (i % 7 + 1) for i in range(50)]

    async def ask(client, i, stream):
        messages = [{"role": "user", "content": said[i]}]
        answer = await client.chat.completions.create(
            model=MODEL, messages=messages, seed=i, max_tokens=64, stream=stream
        )
        if not stream:
            return answer.choices[0].message.content
        return "".join([chunk.choices[0].delta.content or "" async for chunk in answer])

    async def ask_all():
        async with AsyncOpenAI(base_url=server[0], api_key="none", max_retries=0, timeout=120) as client:
            together = await asyncio.gather(*(ask(client, i, i % 2 == 0) for i in range(50)))
            return together, [await ask(client, i, False) for i in range(50)]

    together, one_by_one = asyncio.run(ask_all())
    assert together == one_by_one
    assert len(set(together)) == 50
    for i in (0, 17, 49):
        assert together[i] == alone(model, chat_ids(said[i]), i, 64)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_hangs_up_frees_its_place_long_before_its_text_would_end(server, health, stream):
    body = {"model": MODEL, "prompt": "hello", "max_tokens": MANY, "n": 3, "stream": stream, "logit_bias": NO_END}
    content = json.dumps(body).encode()
    address = httpx.URL(server[0])
    with socket.create_connection((address.host, address.port)) as connection:
        head = f"POST /v1/completions HTTP/1.1\r\nHost: {address.host}\r\nContent-Type: application/json\r\n"
        connection.sendall(head.encode() + f"Content-Length: {len(content)}\r\n\r\n".encode() + content)
        wait_until(lambda: health()["running"] == 3)
    before = time.monotonic()
    wait_until(lambda: health()["running"] == 0)
    assert time.monotonic() - before < 5  # usually a few milliseconds
    page = httpx.get(server[0].removesuffix("/v1") + "/metrics").text
    assert "workshop_unfinished_total 0.0" not in page
    assert 'workshop_texts{state="running"} 0.0' in page


def test_a_thousand_requests_leave_memory_where_it_was(server):
    async def ask(number):
        limits = httpx.Limits(max_connections=20)
        async with httpx.AsyncClient(limits=limits, timeout=120) as client:
            body = {"model": MODEL, "prompt": "hello", "max_tokens": 2}
            answers = await asyncio.gather(*(client.post(f"{server[0]}/completions", json=body) for _ in range(number)))
        assert {answer.status_code for answer in answers} == {200}

    asyncio.run(ask(250))  # what is allocated only once
    before = server[1].memory_info().rss
    asyncio.run(ask(250))
    asyncio.run(ask(250))
    asyncio.run(ask(250))
    assert server[1].memory_info().rss - before < 8 * 2**20


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_reads_a_stream(server):
    body = json.dumps({"model": MODEL, "messages": HELLO, "stream": True, "max_tokens": 5, "seed": 2})
    command = ["curl", "-sN", f"{server[0]}/chat/completions", "-H", "Content-Type: application/json", "-d", body]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    events = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert {event["object"] for event in events} == {"chat.completion.chunk"}
    assert events[-1]["choices"][0]["finish_reason"] in ("length", "stop")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without telling it")
def test_a_server_that_is_stopped_finishes_what_it_writes_and_needs_the_key_of_the_environment(folder, monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_KEY", "secret")
    with running_server(str(folder), "--threads", "1") as (address, process):
        assert httpx.get(f"{address}/models").status_code == 401
        with OpenAI(base_url=address, api_key="secret", max_retries=0) as client:
            stream = client.completions.create(
                model=MODEL, prompt="hello", max_tokens=300, stream=True, logit_bias=NO_END, seed=1
            )
            next(stream)
            process.send_signal(signal.SIGTERM)
            reasons = [chunk.choices[0].finish_reason for chunk in stream]
        assert reasons[-1] == "length"
        assert process.wait(60) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/models")


@pytest.mark.skipif(shutil.which("false") is None, reason="needs a program that ends at once")
def test_a_server_that_cannot_start_says_so(monkeypatch):
    monkeypatch.setattr("gemini_workshop.benchmarks.serve.sys.executable", shutil.which("false"))
    with pytest.raises(WorkshopError, match="The server did not start"), running_server("nothing"):
        pass
