"""The page of a publication as a Jinja template: one file with every store and language it offers.

What depends on store or language stands in slots. The first view is in the page; the others wait in
`<template>` elements, and a small script moves them in. Without script the first view is there.
"""

SCRIPT = """
(function () {
  var kept = {}, shown = {}, slots = document.querySelectorAll("[data-slot]:not(template)");
  var select = document.getElementById("store"), buttons = document.querySelectorAll("[data-choose]");
  var first = {lang: document.documentElement.dataset.lang, store: "ALL"};
  function key(slot, store, lang) { return [slot, store, lang].join("|"); }
  document.querySelectorAll("template[data-slot]").forEach(function (t) {
    kept[key(t.dataset.slot, t.dataset.store, t.dataset.lang)] = t.content;
  });
  slots.forEach(function (slot) {
    shown[slot.dataset.slot] = key(slot.dataset.slot, "ALL", first.lang);
    kept[shown[slot.dataset.slot]] = document.createDocumentFragment();
  });
  function known(lang, store) {
    return {lang: lang === "en" || lang === "zh" ? lang : first.lang,
      store: Array.prototype.some.call(select.options, function (o) { return o.value === store; })
        ? store : "ALL"};
  }
  var state = known((navigator.language || "").slice(0, 2) === "zh" ? "zh" : "en", "ALL");
  function read() {
    var given = new URLSearchParams(location.hash.slice(1));
    if (given.has("lang") || given.has("store")) {
      state = known(given.get("lang") || state.lang, given.get("store") || "ALL");
    }
  }
  function show() {
    slots.forEach(function (slot) {
      var name = slot.dataset.slot, want = key(name, state.store, state.lang);
      if (!(want in kept)) { want = key(name, "ALL", state.lang); }
      if (want === shown[name]) { return; }
      while (slot.firstChild) { kept[shown[name]].appendChild(slot.firstChild); }
      slot.appendChild(kept[want]);
      shown[name] = want;
    });
    document.documentElement.lang = state.lang === "zh" ? "zh-Hans" : "en";
    document.documentElement.dataset.lang = state.lang;
    document.querySelectorAll("[data-zh]").forEach(function (e) {
      e.textContent = e.dataset[state.lang];
    });
    document.title = document.querySelector("h1").textContent;
    select.value = state.store;
    buttons.forEach(function (b) {
      b.setAttribute("aria-pressed", String(b.dataset.choose === state.lang));
    });
    document.getElementById("said").textContent = select.options[select.selectedIndex].textContent;
  }
  function choose(change) {
    var to = Object.assign({}, state, change);
    location.hash = "lang=" + to.lang + "&store=" + encodeURIComponent(to.store);
  }
  buttons.forEach(function (b) {
    b.addEventListener("click", function () { choose({lang: b.dataset.choose}); });
  });
  select.addEventListener("change", function () { choose({store: select.value}); });
  window.addEventListener("hashchange", function () {
    var goal = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (goal && goal.closest("details")) { goal.closest("details").open = true; goal.scrollIntoView(); }
    read(); show();
  });
  document.querySelector(".controls").hidden = false;
  read(); show();
})();
"""

TEMPLATE = """{% macro wrong(t, problem) %}
<li class="problem"><h3>{{ t.sentence(problem.answer) }}</h3>
<p class="small">{{ t.cite(problem.answer, href='#' + problem.answer.id) }}</p>
{% for where in problem.where %}
<p class="small">{{ t.sentence(where, about=problem.answer.one.kpi) }}
{{- t.cite(where, href='#' + where.id) }}</p>
{% endfor %}
<ul class="do">{% for advice in problem.advice %}
<li><strong>{{ t.action(advice.one) }}</strong>
<div class="small">{{ t.advice(advice, problem.answer) }}
{%- if t.shows_success(advice, problem.answer) %}{{ t.cite(advice, href='#' + advice.id) }}{% endif %}
</div></li>
{% endfor %}</ul></li>
{% endmacro %}
{% macro first_view(t, view) %}
<div class="first">
<section aria-labelledby="doing">
<h2 id="doing">{{ t.label('doing') }}</h2>
<p class="verdict">{{ t.verdict(view.verdict) }}</p>
{% set attained = t.attainment(view.perspectives) %}
{% if attained %}<p>{{ attained }}
<a class="cite" href="#{{ view.perspectives.id }}">{{ t.label('sql') }}</a></p>{% endif %}
<p class="small">{{ t.cite(view.verdict, href='#' + view.verdict.id) }}{{ t.basis() }}</p>
<div class="bar" aria-hidden="true">{% for name in ('met', 'below_target', 'breached') %}
<i class="{{ name }}" style="flex-grow: {{ view.verdict.one[name] }}"></i>{% endfor %}</div>
<h2 id="wrong">{{ t.label('wrong') }}</h2>
{% if view.problems %}
<ul class="problems">{% for problem in view.problems[:4] %}{{ wrong(t, problem) }}{% endfor %}</ul>
{% if view.problems[4:] %}
<details><summary>{{ t.label('more_problems') }}</summary>
<ul class="problems">{% for problem in view.problems[4:] %}{{ wrong(t, problem) }}{% endfor %}</ul>
</details>
{% endif %}
{% else %}
{% set judged = view.verdict.one.with_target %}
<p class="card{{ ' fine' if judged }}">
{{- t.label('none_judged' if not judged else 'none_wrong' if view.is_company else 'none_wrong_store') }}</p>
{% endif %}
</section>
<section aria-labelledby="numbers">
<h2 id="numbers">{{ t.label('summary') }}</h2>
<ul class="tiles">
{% for tile in view.tiles %}
<li class="tile {{ tile.status }}"><div class="name">{{ t.kpi(tile.kpi) }}</div>
{% if tile.answer.rows %}
<div class="value">{{ t.value(tile.answer) }}</div>
<div class="more">{{ t.status(tile.status, tile.answer.one.actual) }}{{ t.marks(tile.answer) }}</div>
<div class="more">{{ t.against(tile.answer) }}</div>
{% else %}
<div class="value"><span class="none">{{ t.word('REASON', tile.reason) }}</span></div>
{% endif %}</li>
{% endfor %}
</ul>
</section>
</div>
{% endmacro %}
{% macro figure(t, picture) %}
{% if picture.missing %}
<h3>{{ picture.title[t.language] }}</h3>
<p class="missing">{{ picture.missing[t.language] }}</p>
{% else %}
<div class="canvas" tabindex="0" role="group" aria-label="{{ picture.title[t.language] }}">
{{ picture.svg[t.language] | safe }}</div>
<figcaption data-sql="{{ sql_id(picture) }}" data-metric="{{ picture.metric_ids | join(' ') }}">
<span>{{ picture.caption[t.language] }}</span>
<span class="cite">[{% for id in picture.metric_ids %}{{ t.metric(id) }} {% endfor %}·
<a href="#{{ sql_id(picture) }}">{{ t.label('sql') }}</a>]</span>
{{ t.mark() if picture.is_simulated }}</figcaption>
{% endif %}
{% if picture.data %}
<details><summary>{{ t.label('table') }}</summary>
<div class="wrap" tabindex="0" role="group"
aria-label="{{ t.label('table') }}: {{ picture.title[t.language] }}">{{ t.table(picture) }}</div></details>
{% endif %}
{% endmacro %}
{% macro night_view(t) %}
<section aria-labelledby="night"><h2 id="night">{{ t.label('night') }}</h2>
<div class="columns">
<div class="card"><h3>{{ t.label('loads') }}</h3>
{% if loads.rows %}
<div class="wrap" tabindex="0" role="group" aria-label="{{ t.label('loads') }}"><table>
<thead><tr><th scope="col">{{ t.label('feed') }}</th><th scope="col">{{ t.label('status') }}</th>
<th scope="col" class="n">{{ t.label('files') }}</th>
<th scope="col" class="n">{{ t.label('rows_in') }}</th>
<th scope="col" class="n">{{ t.label('accepted') }}</th>
<th scope="col" class="n">{{ t.label('quarantined') }}</th></tr></thead><tbody>
{% for row in loads.rows %}
<tr><td>{{ t.word('FEED', row.feed) }}{{ t.mark() if row.is_simulated }}</td>
<td>{{ t.load(row.status) }}</td>
{% for column in ('count_files', 'count_rows_in', 'count_accepted', 'count_quarantined') %}
<td class="n">{{ t.number(loads, column, 'count', loads.rows.index(row)) }}</td>
{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% else %}<p>{{ t.label('nothing_arrived') }}</p>{% endif %}
</div>
<div class="stack"><div class="card"><h3>{{ t.label('checks') }}</h3>
<div class="wrap" tabindex="0" role="group" aria-label="{{ t.label('checks') }}"><table>
<thead><tr><th scope="col">{{ t.label('kind') }}</th><th scope="col">{{ t.label('severity') }}</th>
<th scope="col" class="n">{{ t.label('rules') }}</th>
<th scope="col" class="n">{{ t.label('not_passed') }}</th>
<th scope="col" class="n">{{ t.label('failed_rows') }}</th></tr></thead><tbody>
{% for row in checks.rows %}
<tr><td>{{ t.word('RULE_KIND', row.rule_kind) }}</td><td>{{ t.word('SEVERITY', row.severity) }}</td>
{% for column in ('count_rules', 'count_not_passed', 'count_failed') %}
<td class="n">{{ t.number(checks, column, 'count', checks.rows.index(row)) }}</td>
{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
</div>
<div class="card"><h3>{{ t.label('freshness') }}</h3>
<div class="wrap" tabindex="0" role="group" aria-label="{{ t.label('freshness') }}"><table>
<thead><tr><th scope="col">{{ t.label('feed') }}</th>
<th scope="col">{{ t.label('newest') }}</th>
<th scope="col" class="n">{{ t.label('late') }}</th>
<th scope="col" class="n">{{ t.label('missing_days') }}</th></tr></thead><tbody>
{% for row in freshness.rows %}
<tr><td>{{ t.word('FEED', row.feed) }}</td><td>{{ t.date(row.last_data_on) }}</td>
{% for column in ('count_late', 'count_missing') %}
<td class="n">{{ t.number(freshness, column, 'count', freshness.rows.index(row)) }}</td>
{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
</div>
</div></div>
</section>
{% endmacro %}
{% macro slot(name, content) %}<div data-slot="{{ name }}">{{ content }}</div>{% endmacro %}
{% macro waiting(name, store, language, content) %}
<template data-slot="{{ name }}" data-store="{{ store }}" data-lang="{{ language }}">{{ content }}</template>
{% endmacro %}
{% macro both(name) %}<span data-zh="{{ tellers.zh.label(name) }}" data-en="{{ tellers.en.label(name) }}">
{{- tellers[first].label(name) }}</span>{% endmacro -%}
<!DOCTYPE html>
<html lang="{{ locale[first] }}" data-lang="{{ first }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ company }} · {{ tellers[first].label('dashboard') }}</title>
<style>{{ style }}</style>
</head>
<body>
<a class="skip" href="#main">{{ both('skip') }}</a>
<header><div class="inner">
<div><h1>{{ tellers[first].company() }} · {{ both('dashboard') }}</h1>
<p class="soft small">{{ both('as_of') }} {{ tellers[first].date(publication.as_of) }} ·
{{ both('publication') }} <code>{{ publication.identity }}</code></p></div>
<div class="controls" role="group" aria-label="门店 Store, 语言 Language" hidden>
<div class="store"><label for="store">{{ both('store') }}</label>
<select id="store"><option value="ALL"
data-zh="{{ tellers.zh.label('chain') }}" data-en="{{ tellers.en.label('chain') }}">
{{- tellers[first].label('chain') }}</option>
{% for store in stores %}<option value="{{ store.code }}">{{ names[store.code] }}</option>{% endfor %}
</select></div>
<div class="languages" role="group" aria-label="语言 Language">
{% for language, name in (('zh', '中文'), ('en', 'English')) %}
<button type="button" data-choose="{{ language }}" lang="{{ locale[language] }}"
aria-pressed="{{ 'true' if first == language else 'false' }}">{{ name }}</button>
{% endfor %}
</div></div>
</div></header>
<main id="main" tabindex="-1" class="inner">
<p id="said" class="unseen" aria-live="polite"></p>
{{ slot('first', first_view(tellers[first], views.ALL)) }}
<section aria-labelledby="pictures"><h2 id="pictures">{{ both('pictures') }}</h2>
<div class="pictures">
{% for picture in views.ALL.pictures %}
<figure data-picture="{{ picture.id }}" data-slot="{{ picture.id }}">
{{- figure(tellers[first], picture) }}</figure>
{% endfor %}
</div></section>
{{ slot('night', night_view(tellers[first])) }}
<section aria-labelledby="links"><h2 id="links">{{ both('links') }}</h2>
<p class="links">{% for href, name in links %}<a href="{{ href }}">{{ both(name) }}</a>{% endfor %}</p>
<details class="queries"><summary>{{ both('queries') }}</summary>
{% for answer in queries %}
<section id="{{ answer.id }}"><h3><code>{{ answer.id | replace('sql-', '') }}</code></h3>
<pre tabindex="0">{{ answer.sql }}</pre></section>
{% endfor %}
</details></section>
</main>
<footer class="inner">{{ slot('foot', foot(tellers[first])) }}</footer>
{% for store, view in views.items() %}{% for language in languages %}
{% if not (store == 'ALL' and language == first) %}
{{ waiting('first', store, language, first_view(tellers[language], view)) }}
{% for picture in view.pictures %}
{{ waiting(picture.id, store, language, figure(tellers[language], picture)) }}
{% endfor %}
{% if store == 'ALL' %}
{{ waiting('night', store, language, night_view(tellers[language])) }}
{{ waiting('foot', store, language, foot(tellers[language])) }}
{% endif %}
{% endif %}
{% endfor %}{% endfor %}
<script>{{ script }}</script>
</body>
</html>
"""
