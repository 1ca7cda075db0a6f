"""Laws of servers as they are: busy, restarting, with dialects, windows and counts of their own."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ragctx.assembly import assemble
from ragctx.errors import BudgetError, InputError, ModelError
from ragctx.generator.decoding import Decoding
from ragctx.generator.load import load_generator
from ragctx.generator.openai.model import OpenAIGenerator, load_openai_api
from ragctx.generator.openai.route import route_to
from ragctx.generator.openai.settings import retry_after_s
from ragctx.generator.protocol import HoldsPrefixes
from ragctx.records import Generation, Hit, Prompt
from ragctx.refusals import no_answer
from tests.support.chat_server import ANSWER, DONE, Reply, Script, event, served
from tests.support.fakes import CHAT_FRAME, WordTokenizer
from tests.support.small_tokenizers import chat_model

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

TEXT = "At 232 degrees [1]."
EVENTS = {"Content-Type": "text/event-stream"}
BUSY = Reply(b'{"error": "busy"}', 503)


@pytest.fixture
def script() -> Iterator[Script]:
    with served() as told:
        yield told


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited between tries, without waiting."""
    waited: list[float] = []
    monkeypatch.setattr("ragctx.generator.openai.http.time.sleep", waited.append)
    return waited


def model_of(url: str, **options: Any) -> OpenAIGenerator:
    tokenizer = options.pop("tokenizer", None) or WordTokenizer(CHAT_FRAME)
    return load_openai_api(f"{url}#tiny", tokenizer=tokenizer, **options)


def prompt_of(model: OpenAIGenerator, window: int = 4096) -> Prompt:
    hits = [Hit.from_text(1, 0.9, "Tin melts at 232 degrees.")]
    return assemble("When does tin melt?", hits, model.tokenizer, context_window=window)


def answer_of(model: OpenAIGenerator) -> Generation:
    return model.generate(prompt_of(model))


def parts(*lines: object) -> bytes:
    return b"".join(b"data: " + json.dumps(line).encode() + b"\n\n" for line in lines)


# ---- Tries -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(script: Script, waits: list[float], status: int) -> None:
    script.before = [Reply(b"{}", status), Reply(b"{}", status)]
    assert answer_of(model_of(script.url)).text == TEXT
    assert len(script.requests) == 3
    assert 0.3 < waits[0] < waits[1] < 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_will_not_pass_is_not(script: Script, waits: list[float], status: int) -> None:
    script.before = [Reply(b"{}", status)]
    with pytest.raises(ModelError, match=str(status)):
        answer_of(model_of(script.url))
    assert (len(script.requests), waits) == (1, [])


def test_a_connection_that_breaks_is_tried_again(script: Script, waits: list[float]) -> None:
    script.before = [Reply(breaks=True), Reply(breaks=True)]
    assert answer_of(model_of(script.url)).text == TEXT
    assert len(waits) == 2


def test_the_server_s_own_wait_is_kept_unless_it_is_too_long(
    script: Script, waits: list[float]
) -> None:
    script.before = [Reply(b"{}", 429, {"Retry-After": "7"})]
    assert answer_of(model_of(script.url)).text == TEXT
    assert waits == [7.0]
    script.before = [Reply(b"{}", 429, {"Retry-After": "3600"})]
    with pytest.raises(ModelError, match="try again in 3600 s"):
        answer_of(model_of(script.url))
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


def test_tries_end_and_can_be_chosen(script: Script, waits: list[float]) -> None:
    script.before = [BUSY] * 9
    with pytest.raises(ModelError, match="answers 503"):
        answer_of(model_of(script.url))
    assert len(script.requests) == 4
    with pytest.raises(ModelError, match="answers 503"):
        answer_of(model_of(script.url, server_options={"retries": 0}))
    assert len(script.requests) == 5


def test_a_server_that_starts_again_is_waited_for(
    script: Script, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it has failed for the moment, it may not even be there."""
    connect, calls = HTTPConnection.connect, [0]

    def sometimes(connection: HTTPConnection) -> None:
        calls[0] += 1
        if calls[0] == 2:
            raise ConnectionRefusedError(111, "Connection refused")
        connect(connection)

    monkeypatch.setattr(HTTPConnection, "connect", sometimes)
    script.before = [BUSY]
    assert answer_of(model_of(script.url, context_window=4096)).text == TEXT
    assert (len(waits), calls) == (2, [3])
    calls[0] = 1
    with pytest.raises(ModelError, match="no server answers"):
        answer_of(model_of(script.url, context_window=4096))
    assert len(waits) == 2


FAILURES: dict[str, dict[str, Any]] = {
    "an event of its own": {"error": {"message": "GPU died"}},
    "in words": {"error": "GPU died"},
    "vllm, before 0.10": {"object": "error", "message": "GPU died", "type": "InternalServerError"},
    "anthropic": {"type": "error", "error": {"type": "api_error", "message": "GPU died"}},
    "openrouter": {
        "choices": [
            {"delta": {"content": ""}, "finish_reason": "error", "error": {"message": "GPU died"}}
        ]
    },
}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("streams", [True, False])
def test_a_server_that_fails_after_all_says_why(script: Script, name: str, streams: bool) -> None:
    whole = json.dumps(FAILURES[name]).encode()
    script.body = parts(FAILURES[name]) + DONE if streams else whole
    script.headers = EVENTS if streams else {"Content-Type": "application/json"}
    with pytest.raises(ModelError, match="failed: GPU died"):
        answer_of(model_of(script.url))
    script.body = event("Tin", "abort") + DONE  # its own end, and none of the answer
    with pytest.raises(ModelError, match="failed: abort"):
        answer_of(model_of(script.url))


def test_an_answer_that_is_packed_unasked_is_said(script: Script) -> None:
    script.headers = {**EVENTS, "Content-Encoding": "gzip"}
    script.body = gzip.compress(ANSWER)
    with pytest.raises(ModelError, match=r"sends its answer packed \(gzip\), which was not asked"):
        answer_of(model_of(script.url))
    assert script.requests[0][1]["Accept-Encoding"] == "identity"


def test_a_prompt_that_is_too_long_is_known_in_gemini_s_words(script: Script) -> None:
    words = "The input token count (3000) exceeds the maximum number of tokens allowed (2048)."
    error = {"error": {"code": 400, "message": words, "status": "INVALID_ARGUMENT"}}
    script.before = [Reply(json.dumps([error]).encode(), 400)]
    with pytest.raises(BudgetError, match="3000"):
        answer_of(model_of(script.url))


def test_a_failure_for_the_moment_in_a_stream_is_tried_again(
    script: Script, waits: list[float]
) -> None:
    failed = parts({"error": {"code": 529, "message": "overloaded"}})
    script.before = [Reply(failed, headers=EVENTS)]
    assert answer_of(model_of(script.url)).text == TEXT
    script.before = [Reply(event("At 2") + failed, headers=EVENTS)]
    with pytest.raises(ModelError, match="failed: overloaded"):
        answer_of(model_of(script.url))
    assert len(waits) == 1


def test_nothing_is_tried_again_once_text_has_come(script: Script, waits: list[float]) -> None:
    script.headers = {**EVENTS, "Transfer-Encoding": "chunked"}
    body = event("At 2")
    script.body = b"%x\r\n%s\r\nff\r\nda" % (len(body), body)
    pieces: list[str] = []
    model = model_of(script.url)
    with pytest.raises(ModelError, match="broke the connection off"):
        model.generate(prompt_of(model), on_text=pieces.append)
    assert (pieces, waits, len(script.requests)) == (["At 2"], [], 1)


def test_one_question_has_a_limit_of_time_tries_and_waits_included(script: Script) -> None:
    script.before = [BUSY] * 9
    began = time.monotonic()
    with pytest.raises(ModelError, match="503"):
        answer_of(model_of(script.url, server_options={"limit_s": 0.4, "retries": 99}))
    assert time.monotonic() - began < 1.5


def test_comments_that_keep_the_line_alive_do_not_hold_it_for_ever() -> None:
    class Comments(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            try:
                for _ in range(100):
                    self.wfile.write(b": still here\n\n")
                    time.sleep(0.05)
            except OSError:
                pass

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Comments) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        began = time.monotonic()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        with pytest.raises(ModelError, match=r"end its answer \(after 0\.5 s\).* limit_s"):
            answer_of(model_of(url, context_window=4096, server_options={"limit_s": 0.5}))
        assert time.monotonic() - began < 2
        server.shutdown()


# ---- Streams -----------------------------------------------------------------------------------

HI = {"choices": [{"index": 0, "delta": {"role": "assistant"}}]}
FIRST = {"choices": [{"delta": {"content": "At 232 "}}]}
LAST = {"choices": [{"delta": {"content": "degrees [1]."}, "finish_reason": "stop"}]}
STREAMS: dict[str, bytes] = {
    "usage without choices": parts(HI, FIRST, LAST, {"usage": {"total_tokens": 3}}) + DONE,
    "choices null": parts(FIRST, LAST, {"choices": None, "usage": {}}) + DONE,
    "a word about the prompt first": parts({"choices": [], "prompt_filter_results": []}) + ANSWER,
    "no finish reason but an end": event("At 232 ") + event("degrees [1].") + DONE,
    "byte order mark": b"\xef\xbb\xbf" + ANSWER,
    "carriage returns": ANSWER.replace(b"\n", b"\r"),
    "both": ANSWER.replace(b"\n", b"\r\n"),
    "pings": b'event: ping\ndata: {"type": "ping"}\n\ndata:\n\n' + ANSWER,
    "one object, called a stream or not": parts(
        {"choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}]}
    ).removeprefix(b"data: "),
    "an end that was let through": event(f"{TEXT}<|im_end|>", "stop") + DONE,
    "no space after the colon": ANSWER.replace(b"data: ", b"data:"),
    "comments and names": b": hello\n\nevent: message\nid: 1\nretry: 3\n" + ANSWER,
    "parts": parts({"choices": [{"delta": {"content": [{"type": "text", "text": TEXT}]}}]}) + DONE,
    "legacy text": parts({"choices": [{"text": TEXT, "finish_reason": "stop"}]}) + DONE,
    "no last empty line": ANSWER.rstrip(b"\n"),
    "message instead of delta": parts(
        {"choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}]}
    ),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("kind", ["text/event-stream", "text/plain", ""])
def test_every_dialect_of_a_stream_is_understood(script: Script, name: str, kind: str) -> None:
    script.body, script.headers = STREAMS[name], {"Content-Type": kind} if kind else {}
    pieces: list[str] = []
    model = model_of(script.url)
    answer = model.generate(prompt_of(model), on_text=pieces.append)
    assert (answer.text, answer.finish_reason, "".join(pieces)) == (TEXT, "stop", TEXT)


def test_halves_of_a_character_are_joined(script: Script) -> None:
    script.body = (
        b'data: {"choices": [{"delta": {"content": "Tin \\ud83d"}}]}\n\n'
        b'data: {"choices": [{"delta": {"content": "\\ude00 [1]. \\ud83d"}}]}\n\n' + DONE
    )
    pieces: list[str] = []
    model = model_of(script.url)
    answer = model.generate(prompt_of(model), on_text=pieces.append)
    assert answer.text == "".join(pieces) == "Tin \U0001f600 [1]. \N{REPLACEMENT CHARACTER}"


THOUGHTS: dict[str, dict[str, Any]] = {
    "deepseek, vllm, llama.cpp": {"reasoning_content": "Tin?"},
    "ollama, openrouter": {"reasoning": "Tin?"},
    "openrouter's details": {"reasoning_details": [{"type": "reasoning.text", "text": "Tin?"}]},
    "a summary": {"reasoning_details": [{"type": "reasoning.summary", "summary": "Tin?"}]},
    "litellm": {"thinking_blocks": [{"type": "thinking", "thinking": "Tin?"}]},
    "both names": {"reasoning": "Tin?", "reasoning_content": "Tin?"},
    "mistral": {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Tin?"}]}]},
    "marks in the text": {"content": "<think>Tin?</think>"},
}


@pytest.mark.parametrize("name", THOUGHTS)
def test_a_thought_is_told_apart_whatever_it_is_called(script: Script, name: str) -> None:
    script.body = parts({"choices": [{"delta": THOUGHTS[name]}]}, FIRST, LAST) + DONE
    pieces: list[str] = []
    model = model_of(script.url)
    answer = model.generate(prompt_of(model), on_text=pieces.append)
    assert (answer.thought, answer.text, "".join(pieces)) == ("Tin?", TEXT, TEXT)


def test_a_thought_that_the_template_opened_is_known_from_its_frame(script: Script) -> None:
    opened = WordTokenizer(("<|user|>\n", "<|end|>\n<think>\n"))
    script.body = event("Tin? [7]\n</think>\n\n") + ANSWER
    pieces: list[str] = []
    model = model_of(script.url, tokenizer=opened)
    answer = model.generate(prompt_of(model), on_text=pieces.append)
    assert (answer.thought, answer.text, "".join(pieces)) == ("Tin? [7]", TEXT, TEXT)
    script.body = parts({"choices": [{"delta": {"reasoning_content": "Tin?"}}]}) + ANSWER
    assert answer_of(model_of(script.url, tokenizer=opened)).text == TEXT


def test_a_server_that_sends_too_much_is_cut_and_told_of(script: Script) -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 10_000}}
    script.body = parts(usage) + event("more " * 400) * 20 + DONE
    model = model_of(script.url)
    answer = answer_of(model)
    assert answer.finish_reason == "length"
    assert len(answer.token_ids) <= 4 * prompt_of(model).max_new_tokens + 4
    assert "counted 10000 tokens in its answer, where" in " ".join(model.take_notes())


# ---- Counts ------------------------------------------------------------------------------------


def test_the_server_s_count_is_asked_for_compared_and_told_once(script: Script) -> None:
    model = model_of(script.url)
    ours = prompt_of(model).token_count
    script.body = parts(FIRST, LAST, {"choices": [], "usage": {"prompt_tokens": ours + 6}}) + DONE
    answer_of(model)
    [note] = model.take_notes()
    assert (
        f"tiny counted {ours + 6} tokens in a prompt of {ours}; lower --budget-tokens by 6" in note
    )
    answer_of(model)
    assert model.take_notes() == ()
    assert script.requests[0][2]["stream_options"] == {"include_usage": True}
    script.body = parts(FIRST, LAST, {"choices": [], "usage": {"prompt_tokens": ours}}) + DONE
    same = model_of(script.url)
    answer_of(same)
    assert same.take_notes() == ()


@pytest.mark.parametrize(
    "counts",
    [
        {"usage": {"prompt_tokens_details": {"cached_tokens": 201}}},
        {"usage": {"prompt_cache_hit_tokens": 201}},
        {"timings": {"cache_n": 201, "prompt_n": 32}},
        {"usage": {"cached_tokens": 201, "prompt_tokens_details": None}},
        {"usage": {"num_cached_tokens": 201}},
        {"usage": {"cache_read_input_tokens": 201, "input_tokens": 300}},
        {"x_groq": {"usage": {"prompt_tokens_details": {"cached_tokens": 201}}}},
    ],
)
def test_tokens_that_the_server_had_cached_are_reused(script: Script, counts: Any) -> None:
    script.body = parts(FIRST, LAST, {"choices": [], **counts}) + DONE
    assert answer_of(model_of(script.url)).reused_tokens == 201


@pytest.mark.parametrize(
    "counts", [{"prompt_tokens": True}, {"prompt_tokens": "9", "cached_tokens": -1}]
)
def test_counts_that_cannot_be_are_none(script: Script, counts: Any) -> None:
    script.body = parts(FIRST, LAST, {"choices": [], "usage": counts}) + DONE
    model = model_of(script.url)
    assert (answer_of(model).reused_tokens, model.take_notes()) == (0, ())
    more = {"prompt_tokens": 50, "prompt_tokens_details": {"cached_tokens": 900}}
    script.body = parts(FIRST, LAST, {"choices": [], "usage": more}) + DONE
    assert answer_of(model_of(script.url)).reused_tokens == 0


def test_a_thought_that_the_server_keeps_to_itself_is_counted(script: Script) -> None:
    counts = {"completion_tokens": 32, "completion_tokens_details": {"reasoning_tokens": 32}}
    script.body = (
        parts({"choices": [{"delta": {}, "finish_reason": "length"}], "usage": counts}) + DONE
    )
    answer = answer_of(model_of(script.url))
    assert (answer.text, answer.thought, answer.thought_tokens) == ("", "", 32)
    refusal = no_answer(answer, 32, "tiny")
    assert refusal is not None and refusal.reason == "thought_only"


def test_what_was_sent_is_what_a_server_may_hold(script: Script) -> None:
    """So that --prefer-cached has something to go by; nothing is asked of the server for it."""
    script.body = parts(FIRST, LAST) + DONE
    model = model_of(script.url)
    prompt = prompt_of(model)
    ids = prompt.token_ids
    assert isinstance(model, HoldsPrefixes) and model.cached_tokens(ids) == 0
    model.generate(prompt)
    assert model.cached_tokens(ids) == len(ids) - 1, "the last one is read in any case"
    assert model.cached_tokens([*ids[:5], 10**6, *ids[5:]]) == 5
    assert len(script.requests) == 1


# ---- Dialects ----------------------------------------------------------------------------------


def refusal(parameter: str, words: str) -> Reply:
    error = {"message": words, "param": parameter, "code": "unsupported_parameter"}
    return Reply(json.dumps({"error": error}).encode(), 400)


def test_what_a_model_does_not_take_is_left_out_from_then_on(script: Script) -> None:
    words = {
        "max_tokens": "'max_tokens' is not supported with this model. Use 'max_completion_tokens'.",
        "temperature": "'temperature' does not support 0. Only the default (1) is supported.",
        "stream_options": "Unknown parameter: 'stream_options'",
    }
    script.before = [refusal(name, said) for name, said in words.items()]
    model = model_of(script.url)
    assert answer_of(model).text == TEXT
    for request in (script.requests[3][2], answer_of(model) and script.requests[4][2]):
        assert request["max_completion_tokens"] == prompt_of(model).max_new_tokens
        assert {"max_tokens", "temperature", "stream_options"}.isdisjoint(request)
    assert len(script.requests) == 5
    assert model.take_notes() == ("tiny takes no temperature, so that it decides on that itself",)


def test_what_is_wrong_with_a_value_is_said_and_not_asked_again(script: Script) -> None:
    script.before = [refusal("temperature", "temperature is out of its mind")]
    with pytest.raises(ModelError, match="out of its mind"):
        answer_of(model_of(script.url))
    assert len(script.requests) == 1


def test_headers_fields_and_the_query_go_with_every_request(script: Script) -> None:
    options = {"header.X-Title": "mine", "seed": 7, "top_p": 0.5}
    spec = f"{script.url}?api-version=2024-10-21#tiny"
    tokenizer = WordTokenizer(CHAT_FRAME)
    model = load_openai_api(spec, tokenizer=tokenizer, server_options=options, api_key="k")
    assert answer_of(model).text == TEXT
    path, headers, body = script.requests[0]
    assert path == "/v1/chat/completions?api-version=2024-10-21"
    assert (headers["X-Title"], headers["Authorization"]) == ("mine", "Bearer k")
    assert (body["seed"], body["top_p"]) == (7, 0.5)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"messages": []}, "sets that itself"),
        ({"retries": "many"}, "is no number"),
        ({"retries": -1}, "give 0 or more"),
        ({"timeout_s": 0}, "above 0"),
        ({"header.X\nEvil": "1"}, "cannot be a header"),
        ({"header.X": "a\r\nHost: b"}, "cannot be a header"),
    ],
)
def test_options_that_are_none_are_refused(options: dict[str, object], why: str) -> None:
    with pytest.raises(InputError, match=why):
        load_openai_api("http://h:1/v1#m", tokenizer=WordTokenizer(), server_options=options)
    with pytest.raises(InputError, match="is no server"):
        load_generator("/nowhere", server_options={"retries": 1})


def test_decoding_is_sent_in_the_server_s_words(script: Script) -> None:
    decoding = Decoding(temperature=0.7, top_p=0.9, top_k=40, seed=3, stop=("Question:",))
    model = model_of(script.url, decoding=decoding)
    assert answer_of(model).text == TEXT
    body = script.requests[0][2]
    sent = {name: body.get(name) for name in ("temperature", "top_p", "top_k", "seed", "stop")}
    assert sent == {
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 3,
        "stop": ["Question:"],
    }
    assert "min_p" not in body
    assert model.decoding == "temperature 0.7, top_p 0.9, top_k 40, seed 3, stop ('Question:',)"


# ---- Windows -----------------------------------------------------------------------------------

Page = Callable[[Any], object]
WINDOWS: dict[str, tuple[dict[str, Page], int]] = {
    "vllm": ({"/v1/models": lambda _: {"data": [{"id": "tiny", "max_model_len": 8000}]}}, 8000),
    "another model's": (
        {"/v1/models": lambda _: {"data": [{"id": "a", "max_model_len": 9}, {"id": "b"}]}},
        4096,
    ),
    "llama.cpp": (
        {
            "/v1/models": lambda _: {"data": [{"id": "x", "meta": {"n_ctx_train": 99}}]},
            "/props": lambda _: {"default_generation_settings": {"n_ctx": 2048}},
        },
        2048,
    ),
    "ollama": (
        {"/api/show": lambda body: {"model_info": {f"{body['model']}.context_length": 40960}}},
        4096,
    ),
    "ollama with a parameter": (
        {"/api/show": lambda _: {"parameters": "temperature 1\nnum_ctx                 16384"}},
        16384,
    ),
    "ollama, which has loaded it for more": (
        {
            "/api/ps": lambda _: {
                "models": [
                    {"name": "other:latest", "context_length": 8192},
                    {"name": "tiny:latest", "model": "tiny:latest", "context_length": 32768},
                ]
            },
            "/api/show": lambda _: {"model_info": {"qwen3.context_length": 40960}},
        },
        32768,
    ),
    "tgi": ({"/info": lambda _: {"max_total_tokens": 3000}}, 3000),
    "lm studio": (
        {"/api/v0/models": lambda _: {"data": [{"id": "tiny", "loaded_context_length": 7}]}},
        7,
    ),
    "nonsense": ({"/v1/models": lambda _: [1], "/props": lambda _: "?"}, 4096),
    "nothing": ({}, 4096),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_the_window_is_what_the_server_tells(script: Script, name: str) -> None:
    script.pages, window = WINDOWS[name]
    model = model_of(script.url)
    assert model.context_window == window
    assert model_of(script.url, context_window=512).context_window == 512


# ---- Proxies -----------------------------------------------------------------------------------


def test_the_environment_s_proxies_are_used_but_never_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("https_proxy", "http://me:a%40b@proxy.example:3129")
    monkeypatch.setenv("no_proxy", "inner.example")
    plain = route_to("http://far.example:8000/v1")
    assert (plain.host, plain.port, plain.tunnel) == ("proxy.example", 3128, None)
    secure = route_to("https://far.example/v1")
    assert (secure.host, secure.port, secure.tunnel) == (
        "proxy.example",
        3129,
        ("far.example", 443),
    )
    assert secure.proxy_headers == {"Proxy-Authorization": "Basic bWU6YUBi"}
    assert "bWU6YUBi" not in repr(secure)
    for near in ("http://127.0.0.1:1/v1", "http://localhost/v1", "https://inner.example/v1"):
        assert not route_to(near).is_proxy


def test_a_proxy_gets_the_whole_address(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", script.url.removesuffix("/v1"))
    monkeypatch.delenv("no_proxy", raising=False)
    assert answer_of(model_of("http://far.example/v1", context_window=4096)).text == TEXT
    assert script.requests[0][0] == "http://far.example/v1/chat/completions"


# ---- Tokenizers of servers ---------------------------------------------------------------------

QWEN = chat_model()
BOS = 256  # <|endoftext|>


def rendered(messages: Any) -> str:
    turns = (f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
    return "".join(turns) + "<|im_start|>assistant\n"


def llama_cpp(*, adds_bos: bool) -> dict[str, Page]:
    def tokenize(body: Any) -> object:
        encode = QWEN.encode_markup if body["parse_special"] else QWEN.encode
        opening = [BOS] if adds_bos and body["add_special"] else []
        return {"tokens": opening + encode(body["content"])}

    return {
        "/tokenize": tokenize,
        "/detokenize": lambda body: {"content": QWEN.decode(body["tokens"])},
        "/apply-template": lambda body: {"prompt": rendered(body["messages"])},
    }


def vllm(body: Any) -> object:
    text = rendered(body["messages"]) if "messages" in body else body.get("prompt")
    return {"tokens": QWEN.encode_markup(text)} if text else {"error": "no prompt"}


def tgi(body: Any) -> object:
    text = body.get("inputs")
    return [{"id": token, "text": "?"} for token in QWEN.encode_markup(text)] if text else {}


COUNTING: dict[str, dict[str, Page]] = {
    "llama.cpp": llama_cpp(adds_bos=False),
    "llama.cpp with a beginning": llama_cpp(adds_bos=True),
    "vllm": {
        "/tokenize": vllm,
        "/detokenize": lambda body: {"prompt": QWEN.decode(body["tokens"])},
    },
    "tgi": {
        "/tokenize": tgi,
        "/chat_tokenize": lambda body: {
            "templated_text": rendered(body["messages"]),
            "tokenize_response": tgi({"inputs": rendered(body["messages"])}),
        },
    },
}


@pytest.mark.parametrize("name", COUNTING)
def test_a_server_that_counts_needs_no_tokenizer(script: Script, name: str) -> None:
    script.pages = COUNTING[name]
    generator = load_generator(f"{script.url}#tiny")
    assert isinstance(generator, OpenAIGenerator)
    asked = prompt_of(generator)
    theirs = load_openai_api(f"{script.url}#tiny", tokenizer=QWEN)
    opening = name == "llama.cpp with a beginning"
    assert asked.token_count == prompt_of(theirs).token_count + opening
    usage = {"choices": [], "usage": {"prompt_tokens": asked.token_count}}
    script.body = parts(FIRST, LAST, usage) + DONE
    assert generator.generate(asked).text == TEXT
    assert generator.take_notes() == ()


@pytest.mark.parametrize("name", COUNTING)
def test_a_text_is_counted_once_and_no_document_closes_its_message(
    script: Script, name: str
) -> None:
    counted: list[object] = []
    tokenize = COUNTING[name]["/tokenize"]

    def watched(body: Any) -> object:
        counted.append(body)
        return tokenize(body)

    script.pages = {**COUNTING[name], "/tokenize": watched}
    generator = load_generator(f"{script.url}#tiny", context_window=4096)
    hits = [Hit.from_text(1, 0.9, "Tin <|im_end|> melts <b>.")]
    prompts = [
        assemble("When does tin melt?", hits, generator.tokenizer, context_window=4096)
        for _ in range(2)
    ]
    once = len(counted)
    assemble("When does tin melt?", hits, generator.tokenizer, context_window=4096)
    assert len(counted) <= once + 1
    generator.generate(prompts[0])
    [message] = script.requests[0][2]["messages"]
    assert "Tin < |im_end|> melts <b>." in message["content"]


def test_a_prompt_that_its_server_finds_too_long_is_not_sent(script: Script) -> None:
    pages = llama_cpp(adds_bos=False)
    script.pages = pages
    generator = load_generator(f"{script.url}#tiny", context_window=4096)
    asked = prompt_of(generator)  # type: ignore[arg-type]
    longer = {"/apply-template": lambda body: {"prompt": rendered(body["messages"]) + "x" * 9999}}
    script.pages = {**pages, **longer}
    with pytest.raises(BudgetError, match=r"server of tiny counts \d+ tokens .*lower --budget"):
        generator.generate(asked)
    assert not script.requests


def test_a_server_without_such_endpoints_asks_for_the_tokenizer_by_name(script: Script) -> None:
    with pytest.raises(InputError, match=r"how tiny counts tokens; name the model's --tokenizer"):
        load_generator(f"{script.url}#tiny")
    with pytest.raises(ModelError, match="no server answers"):
        load_generator("http://127.0.0.1:9/v1#tiny")
