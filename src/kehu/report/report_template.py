"""The report as a Jinja template: one file, both languages, no script, no address but its own."""

TEMPLATE = """<!DOCTYPE html>
<html lang="{{ 'en' if first == 'en' else 'zh-Hans' }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ tellers[first].label('report') }} {{ publication.as_of }}</title>
<style>{{ style }}</style>
</head>
<body>
<main>
<input class="switch" type="radio" name="language" id="zh"{{ ' checked' if first == 'zh' }}>
<input class="switch" type="radio" name="language" id="en"{{ ' checked' if first == 'en' }}>
<div class="choice"><label for="zh" lang="zh-Hans">中文</label>
<label for="en" lang="en">English</label></div>
{% for language in languages %}
{% set t = tellers[language] %}
<article class="in-{{ language }}" lang="{{ locale[language] }}">
<h1>{{ t.label('report') }}</h1>
<p class="facts">{{ t.company() }} ·
{{ t.label('as_of') }} {{ t.date(publication.as_of) }} ·
{{ t.label('publication') }} <code>{{ publication.identity }}</code>{{ t.basis() }}</p>
<p class="lead">{{ t.verdict(verdict) }}{{ t.cite(verdict, href='#' + verdict.id) }}</p>
{% set attained = t.attainment(perspectives) %}
{% if attained %}<p>{{ attained }}
<a class="cite" href="#{{ perspectives.id }}">{{ t.label('sql') }}</a></p>{% endif %}
{% if is_simulated %}<p class="small">{{ t.mark() }} {{ t.simulated_note() }}</p>{% endif %}

<h2 id="summary-{{ language }}">{{ t.label('summary') }}</h2>
<ul class="tiles">
{% for tile in tiles %}
<li class="tile {{ tile.status }}"><div class="name">{{ t.kpi(tile.kpi) }}</div>
<div class="value">{{ t.value(tile.answer) }}</div>
<div class="more">{{ t.status(tile.status, tile.answer.one.value) }}{{ t.marks(tile.answer) }}<br>
{{ t.against(tile.score) }}</div>
<div class="more">{{ t.cite(tile.answer, href='#' + tile.answer.id, brief=True) }}</div></li>
{% endfor %}
</ul>

<h2 id="situation-{{ language }}">{{ t.label('situation') }}</h2>
{% for topic, answers, drawn in situation if answers or drawn %}
<h3>{{ t.word('TOPIC', topic) }}</h3>
{% if answers %}
<ul class="sentences">
{% for answer in answers %}
<li>{{ t.sentence(answer) }}{{ t.cite(answer, href='#' + answer.id) }}</li>
{% endfor %}
</ul>
{% endif %}
{% if drawn %}
<div class="drawn">
{% for picture in drawn %}
<figure id="picture-{{ picture.id }}-{{ language }}" data-picture="{{ picture.id }}">
{% if picture.missing %}
<h4>{{ picture.title[language] }}</h4>
<p class="missing">{{ picture.missing[language] }}</p>
{% else %}
<div class="canvas" tabindex="0" role="group" aria-label="{{ picture.title[language] }}">
{{ picture.svg[language] | safe }}</div>
<figcaption data-sql="{{ sql_id(picture) }}" data-metric="{{ picture.metric_ids | join(' ') }}">
<span>{{ picture.caption[language] }}</span>
<span class="cite">[{% for id in picture.metric_ids %}{{ t.metric(id) }} {% endfor %}·
{{ t.date(publication.as_of) }} · <a href="#{{ sql_id(picture) }}">{{ t.label('sql') }}</a>]</span>
{{ t.mark() if picture.is_simulated }}</figcaption>
{% endif %}
{% if picture.data and not for_print %}
<details><summary>{{ t.label('table') }}</summary>
<div class="wrap" tabindex="0" role="group"
aria-label="{{ t.label('table') }}: {{ picture.title[language] }}">{{ t.table(picture) }}</div></details>
{% endif %}
</figure>
{% endfor %}
</div>
{% endif %}
{% endfor %}

<h2 id="problems-{{ language }}">{{ t.label('problems') }}</h2>
{% if problems %}
{% for problem in problems %}
<div class="problem" id="problem-{{ problem.number }}-{{ language }}">
<h3>{{ t.label('problem') }} {{ t.nth(problem.answer) }} · {{ t.kpi(problem.answer.one.kpi) }}</h3>
<p>{{ t.sentence(problem.answer) }}{{ t.cite(problem.answer, href='#' + problem.answer.id) }}</p>
{% for where in problem.where %}
<p class="small">{{ t.sentence(where, about=problem.answer.one.kpi) }}
{{- t.cite(where, href='#' + where.id) }}</p>
{% endfor %}
<p class="small">{% for advice in problem.advice %}
<a href="#to-{{ advice.id }}-{{ language }}">{{ t.label('see_advice') }} {{ t.nth(advice, 'rank') }}</a>
{% endfor %}</p>
</div>
{% endfor %}
{% else %}
<p class="card{{ ' fine' if verdict.one.with_target }}">
{{- t.label('none_wrong' if verdict.one.with_target else 'none_judged') }}</p>
{% endif %}

<h2 id="advice-{{ language }}">{{ t.label('advice') }}</h2>
{% if problems %}
{% for problem in problems %}{% for advice in problem.advice %}
<div class="problem advice" id="to-{{ advice.id }}-{{ language }}">
<h3>{{ t.nth(advice, 'rank') }} · {{ t.sentence(advice) }}</h3>
<p>{{ t.advice(advice, problem.answer) }}{{ t.cite(advice, href='#' + advice.id) }} ·
<a href="#problem-{{ problem.number }}-{{ language }}">{{ t.label('for_problem') }}
{{ t.nth(problem.answer) }}</a></p>
</div>
{% endfor %}{% endfor %}
{% else %}
<p class="card{{ ' fine' if verdict.one.with_target }}">
{{- t.label('no_advice' if verdict.one.with_target else 'no_advice_unjudged') }}</p>
{% endif %}

<h2 id="scorecard-{{ language }}">{{ t.label('scorecard') }}</h2>
<p class="small"><span class="cite">[{{ t.metric('K1') }} · {{ t.date(publication.as_of) }} ·
<a href="#{{ scorecard.id }}">{{ t.label('sql') }}</a>]</span></p>
<div class="wrap" tabindex="0" role="group" aria-label="{{ t.label('scorecard') }}">
<table>
<thead><tr><th scope="col">{{ t.label('kpi') }}</th>
<th scope="col" class="n">{{ t.label('value') }}</th>
<th scope="col" class="n">{{ t.label('target') }}</th>
<th scope="col" class="n">{{ t.label('floor') }}</th>
<th scope="col" class="n">{{ t.label('change') }}</th>
<th scope="col" class="n">{{ t.label('attainment') }}</th>
<th scope="col" class="n">{{ t.label('weight') }}</th>
<th scope="col" class="n">{{ t.label('n') }}</th>
<th scope="col">{{ t.label('status') }}</th></tr></thead>
{% for perspective, rows in measured %}
<tbody><tr><th scope="rowgroup" colspan="5">{{ t.word('PERSPECTIVE', perspective) }}</th>
<td class="n"><strong>{{ t.number(scorecard, 'perspective_attainment', 'share', rows[0]) }}</strong></td>
<td colspan="3"></td></tr>
{% for i in rows %}{% set s = scorecard.rows[i] %}
<tr><td>{{ t.kpi(s.kpi) }} <span class="soft">{{ t.metric(s.metric_id) }}</span>
{{- t.marks(scorecard, i) }}</td>
<td class="n">{{ t.number(scorecard, 'actual', s.unit, i) }}</td>
<td class="n">{{ t.number(scorecard, 'target', s.unit, i) }}</td>
<td class="n">{{ t.number(scorecard, 'floor', s.unit, i) }}</td>
<td class="n">{{ t.change(scorecard, i) }}</td>
<td class="n">{{ t.number(scorecard, 'attainment', 'share', i) }}</td>
<td class="n">{{ t.number(scorecard, 'weight', 'share', i) }}</td>
<td class="n">{{ t.number(scorecard, 'n', 'count', i) }}</td>
<td>{{ t.status(s.status, s.actual) }}</td></tr>
{% endfor %}</tbody>
{% endfor %}
</table></div>

<h3>{{ t.label('unsaid') }}</h3>
<ul class="sentences">
{% for i in unmeasured %}{% set s = scorecard.rows[i] %}
<li>{{ t.kpi(s.kpi) }} <span class="soft">{{ t.metric(s.metric_id) }}</span>:
{{ t.word('REASON', s.missing_reason) }}</li>
{% endfor %}
</ul>

<h2 id="how-{{ language }}">{{ t.label('how') }}</h2>
{% for line in t.method() %}<p>{{ line }}</p>
{% endfor %}
</article>
{% endfor %}

<section class="sql" aria-labelledby="queries">
<h2 id="queries">{{ tellers[first].label('queries') }}</h2>
{% for answer in queries %}
<section id="{{ answer.id }}"><h3><code>{{ answer.id | replace('sql-', '') }}</code></h3>
<pre tabindex="0">{{ answer.sql }}</pre></section>
{% endfor %}
</section>
</main>
</body>
</html>
"""
