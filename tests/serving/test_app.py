"""What a server answers and refuses: bodies, keys, rates, sizes, schemas, images, and models without a template."""

import asyncio
import base64
import io
import json

import pytest
import torch
from PIL import Image

from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.media import wav
from gemini_workshop.data.media.documents import AudioPart, ImagePart
from gemini_workshop.data.media.images import decode_image
from gemini_workshop.data.tokenizers import prompt_ids
from gemini_workshop.generation.ask import ask
from gemini_workshop.generation.chat import until_stop
from gemini_workshop.generation.decode import generate_text
from gemini_workshop.serving import engine
from gemini_workshop.serving.visitors import MAX_CLIENTS, RateLimit
from tests.generation import media
from tests.serving.conftest import TOKENIZER

HELLO = [{"role": "user", "content": "hello"}]
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
JSON = {"Content-Type": "application/json"}
NO_END = {str(TOKENIZER.end_of_text_id): -100}


def chat(**fields):
    return {"model": "tiny", "messages": HELLO, "max_tokens": 4, "seed": 0} | fields


def text(**fields):
    return {"model": "tiny", "prompt": "hello", "max_tokens": 4, "seed": 0} | fields


def picture(color="red", size=(4, 4), format="PNG"):
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, format=format)
    return f"data:image/{format.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def about(*parts):
    return [{"role": "user", "content": list(parts)}]


def image(url):
    return {"type": "image_url", "image_url": {"url": url}}


# --- What is refused ---

WRONG_SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": 7}}}
MALFORMED = [
    (CHAT, b"", "is not JSON"),
    (CHAT, b"{", "is not JSON: Expecting property name"),
    (CHAT, b"[1]", "not an object"),
    (CHAT, b"\xff\xfe\xfa", "not text"),
    (CHAT, b"[" * 100_000, "nested too deep"),
    (CHAT, b'{"model": "tiny", "seed": ' + b"9" * 5000 + b"}", "too many digits"),
    (CHAT, {"messages": HELLO}, "model is missing"),
    (CHAT, {"model": "tiny"}, "messages is missing"),
    (CHAT, chat(messages=[]), "messages=[] is refused: list should have at least 1 item"),
    (CHAT, chat(messages="hello"), "messages='hello' is refused"),
    (CHAT, chat(messages=[{"role": "user"}]), "messages[0].content is missing"),
    (CHAT, chat(messages=[{"role": "robot", "content": "a"}]), "messages[0].role='robot' is refused"),
    (CHAT, chat(messages=[{"role": "user", "content": [{"type": "text"}]}]), "messages[0].content[0].text is missing"),
    (CHAT, chat(messages=[*HELLO, {"role": "assistant", "content": "a"}]), "The last message is from 'assistant'"),
    (CHAT, chat(messages=[*HELLO, *HELLO]), "The roles are user, user"),
    (CHAT, chat(messages=about(image(picture()))), "'image_url', and here only text is read"),
    (CHAT, chat(temperature="hot"), "temperature='hot' is refused"),
    (CHAT, chat(temperature=-1), "temperature=-1.0 is negative"),
    (CHAT, chat(top_p=3), "top_p=3.0 is outside (0, 1]"),
    (CHAT, b'{"model": "tiny", "messages": [{"role": "user", "content": "a"}], "top_p": NaN}', "top_p=nan is refused"),
    (CHAT, chat(max_tokens=0), "max_tokens=0 is refused: input should be greater than or equal to 1"),
    (CHAT, chat(n=0), "n=0 is refused"),
    (CHAT, chat(n=1000), "asks for 1000 texts, and at most 64"),
    (CHAT, chat(seed=-1), "seed=-1 is refused"),
    (CHAT, chat(stop=["a"] * 17), "stop="),
    (CHAT, chat(stream="yes"), "stream='yes' is refused"),
    (CHAT, chat(temprature=1), "There is no field 'temprature'. Did you mean 'temperature'?"),
    (CHAT, chat(tools=[{"type": "function"}]), "not taught to call tools"),
    (CHAT, chat(logit_bias={"x": 1}), "logit_bias has the key 'x'"),
    (CHAT, chat(logit_bias={"999": 1}), "token id 999 at position 0 is outside the vocabulary"),
    (CHAT, chat(logit_bias={"1": 1000}), "logit_bias.1=1000 is refused"),
    (CHAT, chat(response_format={"type": "json_schema"}), "json_schema is missing"),
    (
        CHAT,
        chat(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": 7}}}),
        "schema",
    ),
    (TEXT, text(prompt=[]), "prompt=[] holds no text"),
    (TEXT, text(prompt=[[]]), "has 0 tokens"),
    (TEXT, text(prompt=[-1]), "token id -1"),
    (TEXT, text(prompt=["a", 1]), "prompt"),
    (TEXT, text(prompt="hello " * 5000), "and the model reads 4,096"),
    (TEXT, text(echo=True), "The prompt is not repeated"),
    (TEXT, text(logprobs=99), "logprobs=99 is refused"),
]


def test_every_malformed_body_gets_a_4xx_with_a_reason(local):
    server = local()
    for path, body, reason in MALFORMED:
        content = body if isinstance(body, bytes) else json.dumps(body)
        answer = server.post(path, content=content, headers=JSON)
        error = answer.json()["error"]
        assert 400 <= answer.status_code < 500, (body, answer.text)
        assert reason in error["message"], (body, error["message"])
        assert error["type"] == "invalid_request_error"
        assert len(error["message"]) < 500
    assert server.get("/health").json()["running"] == 0


def test_a_refusal_names_the_field_and_a_code(local):
    server = local()
    error = server.post(CHAT, json=chat(messages=[{"role": "user"}])).json()["error"]
    assert error["param"] == "messages[0].content"
    error = server.post(TEXT, json=text(prompt=[1] * 5000)).json()["error"]
    assert error["code"] == "context_length_exceeded"


def test_half_a_character_is_read_as_the_sign_for_one_that_is_missing(local):
    server = local()
    ask = '{"model": "tiny", "prompt": "a%s", "seed": 3, "max_tokens": 9, "temperature": 0}'
    half, missing = (server.post(TEXT, content=ask % end, headers=JSON).json() for end in (r"\ud83d", r"\ufffd"))
    assert half["choices"] == missing["choices"]


def test_only_json_is_read_and_no_more_than_fits(local):
    server = local(body_mib=1)
    assert server.post(CHAT, content=json.dumps(chat()), headers={"Content-Type": "text/plain"}).status_code == 415
    large = server.post(CHAT, json=chat(messages=[{"role": "user", "content": "a" * 2**20}]))
    assert large.status_code == 413
    assert "at most 1,048,576" in large.json()["error"]["message"]


def test_a_body_that_does_not_come_is_not_waited_for(local):
    async def slowly():
        yield b"{"
        await asyncio.sleep(30)

    server = local(body_timeout=0.05)
    answer = server.post(CHAT, content=slowly(), headers=JSON)
    assert (answer.status_code, answer.json()["error"]["type"]) == (408, "invalid_request_error")
    assert "1 bytes came" in answer.json()["error"]["message"]


PATHS = [
    "/etc/passwd",
    "/../../../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/v1/models/..%2f..%2fetc%2fpasswd",
    "/v1/models//etc/passwd",
    "/v1/models/%2fetc%2fpasswd",
    "/v1/files",
    "/static/../pyproject.toml",
    "/docs",
    "/redoc",
    "/openapi.json",
]


def test_no_path_of_the_disk_and_no_page_can_be_read(local, tmp_path, monkeypatch):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (4, 4)).save(secret)
    server = local(media.tiny_model(), media.TOKENIZER)
    for path in [*PATHS, f"/v1/models/{secret}", str(secret)]:
        answer = server.get(path)
        assert answer.status_code == 404, path
        assert set(answer.json()) == {"error"}
    for url in (str(secret), f"file://{secret}", "http://127.0.0.1:8000/health", "https://example.org/a.png"):
        answer = server.post(CHAT, json=chat(messages=about(image(url))))
        assert answer.status_code == 400
        assert "no address is followed here" in answer.json()["error"]["message"]
    for name in (str(secret), "../tiny", "stories-small"):
        assert server.post(CHAT, json=chat(model=name)).status_code == 404
    monkeypatch.chdir(tmp_path)
    question = "Which digit is secret.png?"  # a text that names a file is text
    named = server.post(CHAT, json=chat(messages=about({"type": "text", "text": question})))
    assert named.json()["usage"]["prompt_tokens"] == len(media.TOKENIZER.encode(question)) + 2
    assert server.post("/health").status_code == 405


# --- Who may ask ---


def test_without_the_key_there_is_no_answer_at_any_route(local):
    server = local(keys=("first", "second"))
    routes = ["/health", "/metrics", "/v1/models", "/v1/models/tiny", "/nowhere"]
    wrong = [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "first"}, {"Authorization": "Bearer "}]
    wrong += [{"Authorization": "Bearer first second"}, {"Authorization": "Basic first"}, {"X-Key": "first"}]
    for headers in wrong:
        answers = [server.get(route, headers=headers) for route in routes]
        answers += [server.post(route, json=chat(), headers=headers) for route in (CHAT, TEXT)]
        for answer in answers:
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "invalid_api_key"
            assert "first" not in answer.text
    for key in ("first", "second"):
        assert server.post(CHAT, json=chat(), headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_a_server_of_this_machine_answers_under_its_names_alone(local):
    server = local()
    for host, status in {"localhost:8000": 200, "[::1]:8000": 200, "127.0.0.1": 200, "evil.example:8000": 403}.items():
        assert server.get("/health", headers={"Host": host}).status_code == status


def test_requests_beyond_the_rate_are_refused_for_a_while_and_each_key_has_its_own(local):
    server = local(rate=2, keys=("a", "b"))

    def ask(key):
        return server.post(TEXT, json=text(), headers={"Authorization": f"Bearer {key}"})

    assert [ask("a").status_code for _ in range(3)] == [200, 200, 429]
    refused = ask("a")
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert 1 <= int(refused.headers["Retry-After"]) <= 30
    assert ask("b").status_code == 200
    assert server.get("/health", headers={"Authorization": "Bearer a"}).status_code == 200


def test_the_bucket_of_a_client_fills_steadily_and_not_beyond_its_rim():
    now = 0.0
    limit = RateLimit(6, clock=lambda: now)
    assert [limit.seconds_to_wait("a") for _ in range(7)] == [0] * 6 + [10]
    now = 5.0
    assert limit.seconds_to_wait("a") == pytest.approx(5)
    assert limit.seconds_to_wait("b") == 0
    now = 10.0
    assert [limit.seconds_to_wait("a") for _ in range(2)] == [0, pytest.approx(10)]
    now = 10_000.0
    assert [limit.seconds_to_wait("a") for _ in range(7)] == [0] * 6 + [10]
    for i in range(MAX_CLIENTS + 5):
        limit.seconds_to_wait(str(i))
    assert len(limit._buckets) == MAX_CLIENTS


# --- What is written ---


def test_what_takes_too_long_or_finds_no_place_is_refused(local, monkeypatch):
    server = local(timeout=0.001)
    answer = server.post(CHAT, json=chat(max_tokens=3000, logit_bias=NO_END))
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")
    stream = server.post(CHAT, json=chat(max_tokens=3000, stream=True))
    assert '"code":"timeout"' in stream.text
    assert stream.text.endswith("data: [DONE]\n\n")
    monkeypatch.setattr(engine.Engine, "_admit", lambda self: False)  # nobody is let in any more
    waiting = local(max_waiting=2, max_texts=2, timeout=0.5)

    async def ask_all():
        return await asyncio.gather(*(waiting.client.post(TEXT, json=text(n=2)) for _ in range(2)))

    first, second = sorted(waiting.runner.run(ask_all()), key=lambda answer: answer.status_code)
    assert (first.status_code, first.json()["error"]["code"]) == (503, "overloaded")
    assert first.headers["Retry-After"] == "1"
    assert second.status_code == 504


def test_more_texts_than_places_all_get_their_turn(local):
    wide, narrow = local(), local(max_rows=2)
    texts = [
        [choice["text"] for choice in server.post(TEXT, json=text(n=7, max_tokens=20)).json()["choices"]]
        for server in (wide, narrow)
    ]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) == 7


SCHEMA = {"type": "object", "properties": {"a": {"enum": [1, 23]}}, "required": ["a"], "additionalProperties": False}


def test_an_answer_matches_a_schema(local):
    server = local()
    wanted = {"type": "json_schema", "json_schema": {"name": "numbers", "schema": SCHEMA, "strict": True}}
    answer = server.post(CHAT, json=chat(response_format=wanted, max_tokens=60, n=5)).json()
    found = [json.loads(choice["message"]["content"]) for choice in answer["choices"]]
    assert all(each in ({"a": 1}, {"a": 23}) for each in found)
    assert {choice["finish_reason"] for choice in answer["choices"]} == {"stop"}
    start = server.post(CHAT, json=chat(response_format={"type": "json_object"}, max_tokens=3)).json()
    assert start["choices"][0]["message"]["content"].startswith("{")


def test_a_text_that_cannot_be_continued_is_refused_and_the_others_go_on(local):
    server = local()
    nothing = {str(token): -100 for token in range(TOKENIZER.vocab_size)}
    one_left = server.post(TEXT, json=text(logit_bias=nothing))
    assert one_left.status_code == 200  # all are as unlikely as each other
    stuck = server.post(CHAT, json=chat(no_repeat_ngram=1, max_tokens=300, logit_bias=NO_END))
    assert stuck.status_code == 400
    assert "none is left to sample" in stuck.json()["error"]["message"]
    assert server.post(CHAT, json=chat()).status_code == 200


def test_a_fault_of_ours_is_no_secret_of_ours(local, monkeypatch, caplog):
    server = local()
    with monkeypatch.context() as patched:
        patched.setattr(engine.ContinuousBatch, "step", lambda self: 1 / 0)
        answer = server.post(CHAT, json=chat())
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")
    assert "division" not in answer.text
    assert "ZeroDivisionError" in caplog.text
    assert server.post(CHAT, json=chat()).status_code == 200
    monkeypatch.setattr("gemini_workshop.serving.app.texts_of", lambda *_: 1 / 0)
    answer = server.post(CHAT, json=chat())
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")
    assert "division" not in answer.text


def test_the_counters_count(local):
    server = local()
    answer = server.post(TEXT, json=text(logit_bias=NO_END)).json()
    server.post(CHAT, json=chat(n=0))
    page = server.get("/metrics").text
    assert f"workshop_prompt_tokens_total {answer['usage']['prompt_tokens']}.0" in page
    assert "workshop_written_tokens_total 4.0" in page
    assert 'workshop_requests_total{route="/v1/completions",status="200"} 1.0' in page
    assert 'workshop_requests_total{route="/v1/chat/completions",status="400"} 1.0' in page
    assert "workshop_first_token_seconds_count 1.0" in page
    assert "workshop_unfinished_total 0.0" in page


# --- Models without a template ---


@pytest.fixture(scope="module")
def stories():
    return load_pretrained("stories-small")


def test_a_model_of_stories_continues_the_conversation_as_a_story(local, stories):
    model, tokenizer = stories
    server = local(model, tokenizer, name="stories-small")
    turns = [
        {"role": "system", "content": "A story about a dog."},
        {"role": "user", "content": "Once upon a time"},
        {"role": "assistant", "content": " there was a dog."},
        {"role": "user", "content": "One day, the dog"},
    ]
    answer = server.post(CHAT, json=chat(model="stories-small", messages=turns, seed=4, max_tokens=40)).json()
    written = "A story about a dog.\n\nOnce upon a time there was a dog.\n\nOne day, the dog"
    config = GenerationConfig(seed=4, max_new_tokens=40)
    said = "".join(until_stop(generate_text(model, tokenizer, written, config), ("\n",)))
    assert answer["choices"][0]["message"]["content"] == said
    assert answer["usage"]["prompt_tokens"] == len(prompt_ids(tokenizer, written))
    assert server.get("/v1/models").json()["data"][0]["chat_format"] == "story"


def test_a_line_break_that_begins_a_story_s_reply_does_not_end_it(local):
    always = {str(TOKENIZER.encode("\n")[0]): 100}
    answer = local(format="story").post(CHAT, json=chat(logit_bias=always, temperature=0)).json()
    assert answer["choices"][0]["message"]["content"] == "\n" * 4
    assert answer["choices"][0]["finish_reason"] == "length"


def test_a_model_that_reads_images_answers_the_last_question(local):
    """Greedily, as on the command line; what was said before it does not remember."""
    model, tokenizer = media.tiny_model(), media.TOKENIZER
    server, said = local(model, tokenizer), {}
    sound = wav.encode_wav(torch.rand(800, generator=torch.Generator().manual_seed(0)) - 0.5, 8000)
    heard = {"type": "input_audio", "input_audio": {"data": base64.b64encode(sound).decode(), "format": "wav"}}
    for color in ("red", "blue"):
        question = about(image(picture(color)), {"type": "text", "text": "which?"}, heard)
        messages = [*HELLO, {"role": "assistant", "content": "a"}, *question]
        answer = server.post(CHAT, json=chat(messages=messages, max_tokens=12)).json()
        said[color] = answer["choices"][0]["message"]["content"]
        content = base64.b64decode(picture(color).partition(",")[2])
        samples, rate = wav.decode_wav(sound)
        parts = [ImagePart(image=decode_image(content)), "which?", AudioPart(samples=samples, sample_rate=rate)]
        greedy = GenerationConfig(temperature=0, max_new_tokens=12)
        assert said[color] == "".join(ask(model, tokenizer, *parts, config=greedy))
    assert said["red"] != said["blue"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("data:image/png;base64,AAAA", "is not an image that can be read"),
        ("data:image/png;base64,?", "is not base64"),
        ("data:text/plain;base64,AAAA", "no address is followed here"),
        (picture(size=(2500, 2000)), "5,000,000 pixels|2,500 x 2,000"),
    ],
)
def test_an_image_that_cannot_be_read_is_refused(local, url, reason):
    server = local(media.tiny_model(), media.TOKENIZER)
    answer = server.post(CHAT, json=chat(messages=about(image(url))))
    assert answer.status_code == 400
    assert any(each in answer.json()["error"]["message"] for each in reason.split("|"))


def test_a_stream_of_events_is_not_kept_by_anybody(local):
    answer = local().post(CHAT, json=chat(stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
