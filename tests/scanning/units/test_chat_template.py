"""Chat templates: what reaches out of a template is told, and what formats a chat is silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from safeload.errors import LimitExceeded
from safeload.limits import Limits
from safeload.scanning.units.templates.chat_template import judge_template


def rules(text: str) -> list[str]:
    return [finding.rule for finding in judge_template(text, "chat_template.jinja", "the file", Limits())]


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        r"""{{ ''["\x5f\x5fclass\x5f\x5f"] }}""",
        r"""{{ ''["\N{LOW LINE}\N{LOW LINE}class"] }}""",
        "{{ ''|attr('__class__') }}",
        "{{ ''|attr(messages[0].content) }}",
        "{{ [1]|map(attribute='__class__')|list }}",
        "{{ [1]|map('attr', '__class__')|list }}",
        "{{ [1]|selectattr('__class__')|list }}",
        "{{ [1]|rejectattr('__class__')|list }}",
        "{{ [1]|groupby('__class__') }}",
        "{{ [1]|sort(attribute='real.__class__') }}",
        "{{ [1]|sum('__class__') }}",
        "{{ [1]|join(',', attribute='__class__') }}",
        "{% filter attr('__class__') %}x{% endfilter %}",
        "{% set u = '_' %}{{ ''[u ~ u ~ 'class' ~ u ~ u] }}",
        "{{ ''[('_' * 2) + 'class__'] }}",
        "{{ ''['%c%cclass' % (95, 95)] }}",
        "{{ ''['%c%cclass'|format(95, 95)] }}",
        "{{ ''['{}class'.format('__')] }}",
        "{{ ''[['__cla', 'ss__']|join] }}",
        "{{ ''['ssalc__'|reverse] }}",
        "{{ ''['__CLASS__'|lower] }}",
        "{{ ''['XXclass'.replace('X', '_')] }}",
        "{{ ''['XXclass'|replace('X', '_')] }}",
        "{{ ''[dict(__class__=1)|list|first] }}",
        "{% set x %}__class__{% endset %}{{ ''[x] }}",
        "{% macro m(x) %}{{ ''[x] }}{% endmacro %}{{ m('__class__') }}",
        "{% macro m(x='__class__') %}{{ ''[x] }}{% endmacro %}{{ m() }}",
        "{% for k in ['__class__'] %}{{ ''[k] }}{% endfor %}",
        "{% set ns = namespace(k='__class__') %}{{ ''[ns.k] }}",
        "{% set k = {'a': '__class__'} %}{{ ''[k.a] }}",
        "{% with k = '__class__' %}{{ ''[k] }}{% endwith %}",
        "{{ ''['__class__' if messages else 'x'] }}",
        "{{ lipsum.__globals__['os'].popen('id').read() }}",
        "{{ self._TemplateReference__context }}",
        "{{ cycler.mro() }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ ('{0._' ~ '_class__}').format(1) }}",
        "{% include 'other' %}",
        "{% import 'other' as x %}",
        "{% from 'other' import x %}",
        "{% extends 'other' %}",
        "{% generation %}{{ ''.__class__ }}{% endgeneration %}",
    ],
)
def test_reaching_out_of_a_template_is_told(text: str) -> None:
    assert rules(text) == ["template-escape"]


@pytest.mark.parametrize(
    "text",
    [
        "{{ unclosed",
        "{% trans %}x{% endtrans %}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "not " * 5000 + "1 }}",
        "{% if 1 %}" * 2000 + "{% endif %}" * 2000,
        "{{ x[" + "1" * 5000 + "] }}",
        "{{ x['a' * 99999999999] }}",
        "{{ x['&#95;class'|striptags] }}",
        "{% set s = namespace(k='') %}{% for c in [95] %}{% set s.k = s.k ~ '%c'|format(c) %}{% endfor %}{{ x[s.k] }}",
        "{{ x['_' ~ messages[0].role] }}",
    ],
)
def test_what_cannot_be_told_is_unjudged(text: str) -> None:
    assert rules(text) == ["template-unread"]


def test_every_line_is_told_once() -> None:
    assert rules("{{ ''.__class__.__mro__ }}\n{{ ''.__class__ }}") == ["template-escape", "template-escape"]


@pytest.mark.parametrize("text", ["{{ x }}" * 100, "{% set a = 'x' %}" + "{{ m[a ~ 'y' ~ b] }}" * 1000])
def test_limits_are_named(text: str) -> None:
    with pytest.raises(LimitExceeded, match="--limit template_bytes"):
        list(judge_template(text, "m", "the file", Limits(template_bytes=len(text) - 1)))


TEMPLATES = sorted((Path(__file__).parent / "templates").glob("*.jinja"))


def test_there_are_templates_to_test() -> None:
    assert len(TEMPLATES) == 12


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_templates_in_the_manner_of_published_ones_are_silent(path: Path) -> None:
    assert rules(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_transformers_parses_the_same_language(path: Path) -> None:
    utilities = pytest.importorskip("transformers.utils.chat_template_utils")
    utilities._compile_jinja_template(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "text", ["{{ ''.__class__.__mro__ }}", "{% set u = '_' %}{{ (''[u ~ u ~ 'class' ~ u ~ u]).x }}"]
)
def test_the_sandbox_of_transformers_refuses_what_is_told(text: str) -> None:
    utilities = pytest.importorskip("transformers.utils.chat_template_utils")
    from jinja2.exceptions import SecurityError

    with pytest.raises(SecurityError):
        utilities._compile_jinja_template(text).render(messages=[])
    assert rules(text) == ["template-escape"]
