"""Chat templates: what they may do, and how they fail."""

import pytest

from ouroboros.sw.models.chat import ChatTemplate
from ouroboros.sw.models.checkpoint import CheckpointError

TALK = [{"role": "system", "content": "Be <b>."}, {"role": "user", "content": "Hi?"}]


def render(text, messages=TALK):
    return ChatTemplate(text=text, name="f: chat", bos="<s>", eos="</s>").render(messages)


def test_messages_become_text():
    text = """{% for m in messages %}
    {{- bos_token if loop.first }}[{{ m.role }}]{{ m['content'] }}{{ eos_token }}
    {%- if m.role == 'never' %}{% continue %}{% endif %}
{% endfor %}
{% if add_generation_prompt %}
[assistant]
{%- endif %}"""
    assert render(text) == "<s>[system]Be <b>.</s>[user]Hi?</s>[assistant]"


def test_what_templates_are_given():
    assert render("{{ messages[1] | tojson }}") == '{"role": "user", "content": "Hi?"}'
    assert render("{{ strftime_now('%Y')[:2] }}") == "20"
    assert render("{{ tools is defined }}") == "False"


@pytest.mark.parametrize(("text", "message"), [
    ("a\n{% for m in messages %}", "line 2: Unexpected end of template."),
    ("a\n\n{{ messages[0].content + 1 }}", "line 3: "),
    ("{{ 1 / 0 }}", "line 1: division by zero"),
    ("\n{{ messages[7].role }}", "line 2: "),
    ("{{ raise_exception('only users') }}", "refuses these messages: only users"),
    ("\n{{ ''.__class__.__mro__ }}", ("line 2: access to attribute '__class__' of 'str' object is "
                                     "unsafe.")),
    ("{{ messages.append(1) }}", ("line 1: access to attribute 'append' of 'list' object is "
                                 "unsafe.")),
    ("{% for n in range(10 ** 9) %}{% endfor %}", "line 1: Range too big."),
    ("{% include 'x' %}", "line 1: "),
    ("{{ nothing() }}", "line 1: 'nothing' is undefined"),
])
def test_broken_templates(text, message):
    with pytest.raises(CheckpointError) as caught:
        render(text)
    found = str(caught.value)
    assert found.startswith(f"f: chat: {message}") and "\n" not in found
