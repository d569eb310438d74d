"""Chat templates: messages to the text that a model was trained to answer.

A template is a program of whoever published the model: it runs in a sandbox, sees nothing but the
messages, and changes nothing.

Ref: transformers, utils/chat_template_utils.py, for what templates may use.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ouroboros.sw.models.decoder_shape import CheckpointError

__all__ = ["ChatTemplate", "Message"]

Message = Mapping[str, str]
"""With the keys ``role`` (system, user or assistant) and ``content``."""


class _Refused(Exception):
    """The template refuses the messages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatTemplate:
    """The chat template of a model."""

    text: str
    """In Jinja's language."""
    name: str
    """File and key it came from; begins every error message."""
    bos: str = ""
    """Text of the token that begins a text."""
    eos: str = ""
    """Text of the token that ends one."""

    def render(self, messages: Sequence[Message]) -> str:
        """Text of a chat up to where the model's answer begins; BOS is in it if there is one.

        Raises
        ------
        CheckpointError
            If the template is broken or refuses the messages; the message names its line.
        """
        # Jinja takes long to import, and most runs have no chat.
        from jinja2 import TemplateError, TemplateSyntaxError
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def refuse(why: str) -> None:
            raise _Refused(why)

        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.filters["tojson"] = _to_json
        environment.globals |= {"raise_exception": refuse, "strftime_now": _now}
        try:
            return environment.from_string(self.text).render(
                messages=[dict(one) for one in messages], add_generation_prompt=True,
                bos_token=self.bos, eos_token=self.eos)
        except _Refused as error:
            raise CheckpointError(f"{self.name}: refuses these messages: {error}") from None
        except TemplateSyntaxError as error:
            raise CheckpointError(f"{self.name}: line {error.lineno}: {error.message}") from None
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError,
                RecursionError) as error:
            raise CheckpointError(f"{self.name}: line {_line(error)}: {error}") from None


def _line(error: BaseException) -> int:
    """Of the template, where an error came from: its frames are the last whose file it is."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _to_json(value: Any, indent: int | None = None) -> str:
    """Jinja's own filter would escape characters as for a web page."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _now(form: str) -> str:
    return datetime.now().strftime(form)
