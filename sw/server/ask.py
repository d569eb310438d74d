"""Bodies of requests, checked: what a client may ask for, and what is refused by name.

Ref: OpenAI API reference, completions and chat completions.
"""

import json
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models.chat import ChatTemplate
from ouroboros.sw.models.coder import Coder
from ouroboros.sw.runtime.sampling import Sampling

__all__ = ["Ask", "Refused", "read_chat", "read_completion", "read_json"]

ROLES = ("system", "developer", "user", "assistant")
STOPS_MAX, STOP_CHARACTERS_MAX = 4, 200
LIMIT_DEFAULT = 16
"""Tokens of a completion where the client does not say, as published."""
SEED_MAX = 1 << 63
UNUSED = {"n": 1, "best_of": 1, "echo": False, "suffix": None, "logprobs": None,
          "top_logprobs": None, "logit_bias": None, "presence_penalty": 0, "frequency_penalty": 0,
          "tools": None, "tool_choice": None, "functions": None, "function_call": None,
          "response_format": None, "modalities": None, "audio": None, "prediction": None,
          "parallel_tool_calls": None, "reasoning_effort": None, "web_search_options": None}
"""What this server does not do: refused, but for the value that asks for nothing."""
IGNORED = ("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
           "verbosity")
"""What changes no token."""


class Refused(OuroborosError):
    """A request that is not served; ``status`` and ``code`` are what the client is told."""

    def __init__(self, words: str, *, status: int = 400, param: str | None = None,
                 code: str | None = None, retry_s: int | None = None):
        super().__init__(words)
        self.status, self.param, self.code, self.retry_s = status, param, code, retry_s


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A request that can be served."""

    prompt: tuple[int, ...]
    """Token ids."""
    limit: int
    """Tokens to generate at most."""
    stops: tuple[str, ...]
    """Texts that end the answer."""
    sampling: Sampling | None
    """How tokens are drawn; None: the likeliest."""
    stream: bool
    """Whether text is sent as it comes."""
    usage: bool
    """Whether a stream ends with counts of tokens."""
    priority: int
    """See ``sw.serving.request.Request``; an extension."""


def read_json(body: bytes) -> dict[str, Any]:
    """The object that a body holds.

    Raises
    ------
    Refused
        If it is none.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(f"body must be JSON: {error}", code="invalid_json") from None
    if not isinstance(found, dict):
        raise Refused(f"body must be a JSON object, not {type(found).__name__}",
                      code="invalid_json")
    return found


def read_completion(body: Mapping[str, Any], coder: Coder, context: int, model: str,
                    vocab_size: int) -> Ask:
    """What ``/v1/completions`` asks for.

    Raises
    ------
    Refused
        If a value is wrong, or the prompt does not fit.
    """
    prompt = body.get("prompt")
    if isinstance(prompt, str):
        ids = tuple(coder.encode(prompt))
    elif isinstance(prompt, list) and prompt and all(type(one) is int for one in prompt):
        if bad := [one for one in prompt if not 0 <= one < vocab_size]:
            raise Refused(f"prompt must have token ids of 0 to {vocab_size - 1}, not {bad[0]}",
                          param="prompt")
        ids = tuple(prompt)
    else:
        raise Refused("prompt must be a text, or a list of token ids; several prompts are several "
                      "requests here", param="prompt")
    return _rest(body, ids, context, model, ("prompt",), LIMIT_DEFAULT)


def read_chat(body: Mapping[str, Any], coder: Coder, template: ChatTemplate | None, context: int,
              model: str) -> Ask:
    """What ``/v1/chat/completions`` asks for.

    Without a template the contents follow each other, as a model that only goes on with texts reads
    them.

    Raises
    ------
    Refused
        If a value is wrong, or the prompt does not fit.
    """
    messages = _messages(body.get("messages"))
    if template is None:
        ids = tuple(coder.encode("\n".join(one["content"] for one in messages)))
    else:
        ids = tuple(coder.encode(template.render(messages), bos=False))
    if body.get("max_completion_tokens") is not None:
        if body.get("max_tokens") is not None:
            raise Refused("max_tokens must not be given with max_completion_tokens",
                          param="max_tokens")
        body = {**body, "max_tokens": body["max_completion_tokens"]}
    return _rest(body, ids, context, model, ("messages", "max_completion_tokens"), context)


def _messages(given: Any) -> Sequence[dict[str, str]]:
    if not isinstance(given, list) or not given:
        raise Refused("messages must be a list of at least one message", param="messages")
    found = []
    for n, one in enumerate(given):
        where = f"messages[{n}]"
        if not isinstance(one, dict) or one.get("role") not in ROLES:
            raise Refused(f"{where}.role must be one of {', '.join(ROLES)}", param=f"{where}.role")
        content = one.get("content")
        if isinstance(content, list) and all(
                isinstance(part, dict) and part.get("type") == "text"
                and isinstance(part.get("text"), str) for part in content):
            content = "".join(part["text"] for part in content)
        if not isinstance(content, str):
            raise Refused(f"{where}.content must be a text, or parts of type text",
                          param=f"{where}.content")
        role = "system" if one["role"] == "developer" else one["role"]
        found.append({"role": role, "content": content})
    return found


def _rest(body: Mapping[str, Any], ids: tuple[int, ...], context: int, model: str,
          own: tuple[str, ...], limit_default: int) -> Ask:
    """What both kinds of request have."""
    known = {*own, *UNUSED, *IGNORED, "model", "max_tokens", "stop", "temperature", "top_p",
             "top_k", "seed", "stream", "stream_options", "priority"}
    if unknown := sorted(set(body) - known):
        raise Refused(f"{unknown[0]} is not known here", param=unknown[0])
    for name, nothing in UNUSED.items():
        if body.get(name) not in (None, nothing, [], {}):
            raise Refused(f"{name} is not served here", param=name, code="unsupported_value")
    if body.get("model") != model:
        raise Refused(f"model must be {model!r}, not {body.get('model')!r}", status=404,
                      param="model", code="model_not_found")
    if not ids:
        raise Refused("the prompt must have at least one token", param=own[0])
    if len(ids) >= context:
        raise Refused(f"the prompt must be at most {context - 1} tokens, as the context is "
                      f"{context}, not {len(ids)}", param=own[0], code="context_length_exceeded")
    limit = _whole(body, "max_tokens", 1, 1 << 31)
    stream = _flag(body, "stream")
    return Ask(prompt=ids, limit=min(limit_default if limit is None else limit,
                                     context - len(ids)),
               stops=_stops(body.get("stop")), sampling=_sampling(body), stream=stream,
               usage=stream and _usage(body.get("stream_options")),
               priority=_whole(body, "priority", -1000, 1000) or 0)


def _stops(given: Any) -> tuple[str, ...]:
    found = [given] if isinstance(given, str) else given or []
    if (not isinstance(found, list) or len(found) > STOPS_MAX
            or not all(isinstance(one, str) and 0 < len(one) <= STOP_CHARACTERS_MAX
                       for one in found)):
        raise Refused(f"stop must be a text or up to {STOPS_MAX} of them, of 1 to "
                      f"{STOP_CHARACTERS_MAX} characters", param="stop")
    return tuple(found)


def _sampling(body: Mapping[str, Any]) -> Sampling | None:
    temperature = _number(body, "temperature", 0, 2)
    top_p, top_k = _number(body, "top_p", 0, 1), _whole(body, "top_k", 1, 1 << 31)
    seed = _whole(body, "seed", -SEED_MAX, SEED_MAX - 1)
    if top_p == 0:
        raise Refused("top_p must be above 0", param="top_p")
    # As published, texts are drawn at temperature 1 where the client does not say.
    temperature = 1.0 if temperature is None else temperature
    if not temperature:
        return None
    seed = secrets.randbelow(SEED_MAX) if seed is None else seed % SEED_MAX
    return Sampling(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)


def _usage(given: Any) -> bool:
    if given is None:
        return False
    if not isinstance(given, dict) or set(given) - {"include_usage", "include_obfuscation"}:
        raise Refused("stream_options must have include_usage only", param="stream_options")
    return _flag(given, "include_usage")


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise Refused(f"{name} must be true or false", param=name)
    return bool(value)


def _number(body: Mapping[str, Any], name: str, low: float, high: float) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not (
            math.isfinite(value) and low <= value <= high):
        raise Refused(f"{name} must be {low:g} to {high:g}, not {value!r}", param=name)
    return float(value)


def _whole(body: Mapping[str, Any], name: str, low: int, high: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not low <= value <= high:
        raise Refused(f"{name} must be a whole number of {low} to {high}, not {value!r}",
                      param=name)
    return value
