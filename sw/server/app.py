"""The routes: OpenAI's completions and chats, cancelling, metrics, a status page.

Ref: OpenAI API reference; errors have its shape.
"""

import asyncio
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models.chat import ChatTemplate
from ouroboros.sw.models.coder import Coder, TextStream
from ouroboros.sw.server.ask import Ask, Refused, read_chat, read_completion, read_json
from ouroboros.sw.server.limits import Limits
from ouroboros.sw.server.machine import Answer, Machine
from ouroboros.sw.server.metrics import Metrics
from ouroboros.sw.server.status import status_page

__all__ = ["Service", "make_app"]

REASONS = {"stop": "stop", "length": "length", "context": "length"}
"""What a client is told of why a text ended; everything else is an error."""
ID_MAX = 100
Handler = Callable[[Request], Awaitable[Response]]


class Service:
    """What the routes work with.

    Parameters
    ----------
    machine : Machine
        Started.
    coder : Coder
        The model's tokenizer.
    template : ChatTemplate, optional
        Its chat template.
    name : str
        Of the model.
    limits : Limits
        What is borne.
    key : str, optional
        What clients must show.
    """

    def __init__(self, machine: Machine, coder: Coder, template: ChatTemplate | None, name: str,
                 limits: Limits, key: str | None = None):
        self.machine, self.coder, self.template, self.name = machine, coder, template, name
        self.limits, self.key = limits, key
        self.metrics = Metrics(machine)
        self.draining = False
        self.started = int(time.time())

    async def drain(self) -> None:
        """Take nothing more, and wait until all under way has ended, or for so long."""
        self.draining = True
        end = time.monotonic() + self.limits.drain_s
        while self.machine.answers and time.monotonic() < end:
            await asyncio.sleep(0.02)


def make_app(service: Service) -> Starlette:
    """The application."""
    routes = _Routes(service)
    return Starlette(routes=[
        Route("/", routes.checked(routes.status)),
        Route("/status.json", routes.checked(routes.state)),
        Route("/healthz", routes.health),
        Route("/metrics", routes.checked(routes.prometheus)),
        Route("/v1/models", routes.checked(routes.models)),
        Route("/v1/models/{name:path}", routes.checked(routes.model)),
        Route("/v1/completions", routes.checked(routes.completion), methods=["POST"]),
        Route("/v1/chat/completions", routes.checked(routes.chat), methods=["POST"]),
        Route("/v1/requests/{name}/cancel", routes.checked(routes.cancel), methods=["POST"])])


class _Routes:
    def __init__(self, service: Service):
        self.service, self.machine = service, service.machine

    def checked(self, handler: Handler) -> Handler:
        """With the key looked at, and refusals told in OpenAI's shape."""
        async def handle(request: Request) -> Response:
            try:
                self._check_key(request)
                return await handler(request)
            except Refused as error:
                return self._refusal(error)
            except OuroborosError as error:
                return self._refusal(Refused(str(error)))
        return handle

    def _check_key(self, request: Request) -> None:
        key = self.service.key
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key is not None and not hmac.compare_digest(shown.encode(), key.encode()):
            raise Refused("the API key is missing or wrong", status=401, code="invalid_api_key")

    def _refusal(self, error: Refused) -> Response:
        self.service.metrics.refused.labels(str(error.status)).inc()
        headers = {} if error.retry_s is None else {"retry-after": str(error.retry_s)}
        return JSONResponse(_error(error), error.status, headers)

    # Pages

    async def health(self, request: Request) -> Response:
        up = not self.machine.stopped and not self.service.draining
        return JSONResponse({"up": up}, 200 if up else 503)

    async def prometheus(self, request: Request) -> Response:
        return Response(self.service.metrics.text(), media_type="text/plain; version=0.0.4")

    async def state(self, request: Request) -> Response:
        return JSONResponse({"under_way": len(self.machine.answers), **self.machine.state})

    async def status(self, request: Request) -> Response:
        return HTMLResponse(status_page(self.machine, self.service.name))

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model()]})

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name != self.service.name:
            raise Refused(f"model must be {self.service.name!r}, not {name!r}", status=404,
                          code="model_not_found")
        return JSONResponse(self._model())

    def _model(self) -> dict[str, Any]:
        program = self.machine.job.program
        return {"id": self.service.name, "object": "model", "created": self.service.started,
                "owned_by": "ouroboros", "machine": program.machine.name, "on": self.machine.on,
                "context": program.context,
                "chat_template": "plain" if self.service.template is None else "of the model"}

    async def cancel(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not self.machine.cancel(name):
            raise Refused(f"no request {name!r} is under way", status=404, code="unknown_id")
        return JSONResponse({"id": name, "cancelled": True})

    # Texts

    async def completion(self, request: Request) -> Response:
        body = read_json(await self._body(request))
        program = self.machine.job.program
        ask = read_completion(body, self.service.coder, self.machine.capacity, self.service.name,
                              program.vocab_size)
        return await self._answer(request, ask, _Shape("cmpl", self.service.name, chat=False))

    async def chat(self, request: Request) -> Response:
        body = read_json(await self._body(request))
        ask = read_chat(body, self.service.coder, self.service.template,
                        self.machine.capacity, self.service.name)
        return await self._answer(request, ask, _Shape("chatcmpl", self.service.name, chat=True))

    async def _body(self, request: Request) -> bytes:
        limits, found = self.service.limits, bytearray()
        try:
            async with asyncio.timeout(limits.body_s):
                async for part in request.stream():
                    found += part
                    if len(found) > limits.body_bytes:
                        raise Refused(f"body must be at most {limits.body_bytes:,} bytes",
                                      status=413, code="body_too_large")
        except TimeoutError:
            raise Refused(f"body must have come within {limits.body_s:g} s", status=408,
                          code="body_too_slow") from None
        except ClientDisconnect:
            raise Refused("the client has gone", status=400, code="gone") from None
        return bytes(found)

    async def _answer(self, request: Request, ask: Ask, shape: "_Shape") -> Response:
        if self.service.draining:
            raise Refused("the server is stopping", status=503, code="stopping", retry_s=60)
        name = request.headers.get("x-request-id") or f"{shape.prefix}-{uuid.uuid4().hex}"
        if not (name.isascii() and name.isprintable() and len(name) <= ID_MAX):
            raise Refused(f"x-request-id must be up to {ID_MAX} printable ASCII characters",
                          code="bad_id")
        answer = self.machine.submit(name, ask)
        text = TextStream(self.service.coder, ask.prompt, ask.stops)
        shape.id = name
        headers = {"x-request-id": name}
        if ask.stream:
            return StreamingResponse(self._events(answer, text, shape), headers=headers,
                                     media_type="text/event-stream")
        watch = asyncio.create_task(self._watch(request, answer))
        try:
            parts = [part async for part in self._texts(answer, text)]
        finally:
            watch.cancel()
        return JSONResponse(shape.whole("".join(parts), _reason(answer, text), answer),
                            headers=headers)

    async def _watch(self, request: Request, answer: Answer) -> None:
        """A client that has gone gives its request up."""
        while not await request.is_disconnected():
            await asyncio.sleep(0.1)
        self.machine.cancel(answer.id)

    async def _texts(self, answer: Answer, text: TextStream) -> AsyncIterator[str]:
        """What each token adds; whoever leaves early gives the request up.

        Raises
        ------
        Refused
            If the machine could not end it, or time was up.
        """
        try:
            async for token in answer.tokens(self.service.limits.request_s):
                if text.stopped:
                    continue
                if part := text.feed(token):
                    yield part
                if text.stopped:
                    self.machine.cancel(answer.id)
        except TimeoutError:
            raise Refused(f"the request must have ended within "
                          f"{self.service.limits.request_s:g} s", status=504,
                          code="timeout") from None
        finally:
            self.machine.cancel(answer.id)
        if not text.stopped and (part := text.end()):
            yield part
        _reason(answer, text)

    async def _events(self, answer: Answer, text: TextStream,
                      shape: "_Shape") -> AsyncIterator[str]:
        """Server-sent events; what goes wrong after the first is one of them."""
        try:
            if first := shape.first():
                yield _event(first)
            async for part in self._texts(answer, text):
                yield _event(shape.part(part))
            yield _event(shape.last(_reason(answer, text)))
            if answer.ask.usage:
                yield _event(shape.counts(answer))
            yield "data: [DONE]\n\n"
        except Refused as error:
            self.service.metrics.refused.labels(str(error.status)).inc()
            yield _event(_error(error))
        finally:
            self.machine.cancel(answer.id)


def _reason(answer: Answer, text: TextStream) -> str:
    """Why a text ended, as a client is told.

    Raises
    ------
    Refused
        If it did not end well.
    """
    if text.stopped:
        return "stop"
    if answer.finished is None:
        raise Refused("the machine has stopped", status=503, code="machine_stopped")
    if answer.finished not in REASONS:
        raise Refused(f"the request ended before its text: {answer.finished}", status=503,
                      code=answer.finished)
    return REASONS[answer.finished]


def _error(error: Refused) -> dict[str, Any]:
    kind = ("invalid_request_error" if error.status < 500 and error.status != 429
            else "rate_limit_error" if error.status == 429 else "server_error")
    return {"error": {"message": str(error), "type": kind, "param": error.param,
                      "code": error.code}}


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"


class _Shape:
    """Answers as OpenAI has them."""

    def __init__(self, prefix: str, model: str, *, chat: bool):
        self.prefix, self.model, self.chat, self.id = prefix, model, chat, ""
        self.created = int(time.time())

    def _body(self, kind: str, **others: Any) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model,
                **others}

    def _piece(self, delta: dict[str, str], reason: str | None) -> dict[str, Any]:
        if self.chat:
            return self._body("chat.completion.chunk", choices=[
                {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}])
        return self._body("text_completion", choices=[
            {"index": 0, "text": delta.get("content", ""), "logprobs": None,
             "finish_reason": reason}])

    def first(self) -> dict[str, Any] | None:
        """Who speaks."""
        return self._piece({"role": "assistant", "content": ""}, None) if self.chat else None

    def part(self, text: str) -> dict[str, Any]:
        """What a token adds."""
        return self._piece({"content": text}, None)

    def last(self, reason: str) -> dict[str, Any]:
        """Why it ended."""
        return self._piece({}, reason)

    def counts(self, answer: Answer) -> dict[str, Any]:
        """Tokens, after the last part."""
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        return self._body(kind, choices=[], usage=_usage(answer))

    def whole(self, text: str, reason: str, answer: Answer) -> dict[str, Any]:
        """A text that was not streamed."""
        said: dict[str, Any] = ({"message": {"role": "assistant", "content": text}} if self.chat
                                else {"text": text})
        return self._body(
            "chat.completion" if self.chat else "text_completion",
            choices=[{"index": 0, **said, "logprobs": None, "finish_reason": reason}],
            usage=_usage(answer))


def _usage(answer: Answer) -> dict[str, int]:
    prompt = len(answer.ask.prompt)
    return {"prompt_tokens": prompt, "completion_tokens": answer.count,
            "total_tokens": prompt + answer.count}
