"""The page of the quality report, as a Jinja template: one file, no script, no address but its own."""

TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Kehu: data quality {{ as_of }}</title>
<style>
:root { --ink: #1d2733; --soft: #5c6b7a; --line: #dfe5ea; --back: #f5f7f9; --good: #1b7f4b;
  --bad: #b3261e; --warn: #9a6200; --bar: #4f7cac; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui,
  "Segoe UI", Roboto, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 24px; margin: 0; } h1 small, h2 small { color: var(--soft); font-weight: 400; }
h2 { font-size: 18px; margin: 36px 0 10px; } h2 small { font-size: 15px; }
h3 { font-size: 15px; margin: 20px 0 4px; }
.note { color: var(--soft); margin: 2px 0 10px; }
.head { border-left: 6px solid var(--good); background: #fff; padding: 16px 20px; margin: 16px 0;
  border-radius: 4px; }
.head.failed { border-color: var(--bad); } .head strong { font-size: 18px; }
.head pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 10px 0 0; font-size: 13px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(120px, 1fr)); gap: 10px; }
.tile { background: #fff; border-radius: 4px; padding: 10px 14px; }
.tile b { display: block; font-size: 21px; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; }
.wrap { overflow-x: auto; background: #fff; border-radius: 4px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: left; padding: 6px 10px; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
tr:last-child td { border-bottom: 0; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
td.n { white-space: nowrap; }
td.code { min-width: 165px; font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 12.5px;
  overflow-wrap: anywhere; }
td.path { min-width: 250px; }
td.says { min-width: 220px; overflow-wrap: anywhere; }
.tag { display: inline-block; border-radius: 3px; padding: 0 7px; font-size: 12px;
  background: #e8edf1; white-space: nowrap; }
.tag.REFUSED, .tag.critical, .tag.MISSING { background: #f9dedc; color: var(--bad); }
.tag.HELD, .tag.warning, .tag.GAPS { background: #fbeccf; color: var(--warn); }
.tag.LOADED { background: #d9efe2; color: var(--good); }
.none { background: #fff; border-radius: 4px; padding: 10px 14px; color: var(--good); }
.bars { display: flex; align-items: center; gap: 4px; height: 20px; width: 120px; }
.bars i { display: block; background: var(--bar); border-radius: 1px; height: 10px; }
.bars i.bad { background: var(--bad); }
footer { color: var(--soft); font-size: 13px; margin-top: 40px; }
@media print { body { background: #fff; } main { max-width: none; padding: 0; } }
</style>
</head>
<body>
<main>
<h1>Data quality {{ as_of }} <small>数据质量报告</small></h1>

<div class="head{{ '' if published else ' failed' }}">
{% if published %}
<strong>Published 已发布</strong>
<div class="note">Publication {{ publication }}</div>
{% else %}
<strong>Not published 未发布</strong>
<div class="note">
{% if stands_for %}
Readers see the publication for {{ stands_for }}.
{% else %}
Nothing is published yet.
{% endif %}
</div>
{% if error %}<pre>{{ error }}</pre>{% endif %}
{% endif %}
</div>

<div class="tiles">
<div class="tile"><b>{{ count_files | number }}</b><span>files 文件</span></div>
<div class="tile"><b>{{ counts.rows_in | number }}</b><span>rows in 行数</span></div>
<div class="tile"><b>{{ counts.rows_loaded | number }}</b><span>accepted 接受</span></div>
<div class="tile"><b>{{ counts.rows_quarantined | number }}</b><span>quarantined 隔离</span></div>
<div class="tile"><b>{{ counts.rows_superseded | number }}</b><span>superseded 被取代</span></div>
<div class="tile"><b>{{ counts.rows_skipped | number }}</b><span>skipped 跳过</span></div>
<div class="tile"><b>{{ counts.rows_refused | number }}</b><span>refused 拒收</span></div>
<div class="tile"><b>{{ failed | length }} / {{ count_checks | number }}</b>
<span>checks failed 未通过</span></div>
</div>

<h2>Failed checks <small>未通过的检查</small></h2>
{% if failed %}
<div class="wrap"><table>
<tr><th>Severity 级别</th>
<th>Check 检查</th>
<th>Where 对象</th>
<th>Expected 期望</th>
<th>Observed 实际</th></tr>
{% for c in failed %}
<tr><td><span class="tag {{ c.severity }}">{{ c.severity }}</span>
</td>
<td class="code">{{ c.check_id }}</td>
<td class="code">{{ c.path or c.feed }}</td><td class="says">{{ c.description }}</td>
<td class="says">{{ c.observed or '–' }}</td></tr>
{% endfor %}
</table></div>
{% else %}<div class="none">None 无</div>{% endif %}

<h2>Missing store-days <small>缺失的门店日</small></h2>
{% if missing is none %}
<div class="note">The marts of this night were not built, so nothing can be said. 本夜集市未生成</div>
{% elif missing %}
<div class="wrap"><table>
<tr><th>Feed 数据源</th>
<th>Store 门店</th>
<th>Status 状态</th>
<th>Missing 缺失日期</th>
<th class="n">Missing / expected 缺失/应到</th>
<th>Newest data 最近数据</th></tr>
{% for m in missing %}
<tr><td>{{ m.feed }}</td>
<td>{{ m.store_code }}</td>
<td><span class="tag {{ m.freshness_status }}">{{ m.freshness_status }}</span>
</td>
<td class="says">{{ m.missing_days }}</td>
<td class="n">{{ m.count_missing }} / {{ m.count_expected }}</td>
<td>{{ m.last_data_on }}</td></tr>
{% endfor %}
</table></div>
{% else %}<div class="none">None 无</div>{% endif %}

<h2>Rows in quarantine <small>隔离的行</small></h2>
{% if rejected %}
{% for r in rejected %}
<h3>{{ r.feed }} · {{ r.rule_id }} ·
{{ r.count_rows | number }} row{{ '' if r.count_rows == 1 else 's' }}</h3>
<div class="note">Expected 期望: {{ r.promise }}.
In {{ r.count_files }} file{{ '' if r.count_files == 1 else 's' }};
<span class="tag">kehu quarantine show {{ r.batch_id }}</span></div>
{% if r.samples %}
<div class="wrap"><table>
<tr>{% for c in r.columns %}<th>{{ c }}</th>{% endfor %}</tr>
{% for s in r.samples %}
<tr>{% for c in r.columns %}<td class="code">{{ '–' if s[c] is none else s[c] }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
{% endif %}
{% endfor %}
<div class="note">Samples leave out columns with personal data. A dash
is an empty cell, or one that could not be read. 样例不含个人信息</div>
{% else %}<div class="none">None 无</div>{% endif %}

<h2>Repairs <small>修复</small></h2>
{% if repairs %}
<div class="wrap"><table>
<tr><th>Feed 数据源</th>
<th>Column 字段</th>
<th>Repair 修复</th>
<th class="n">Rows 行数</th>
<th>First 首次出现</th></tr>
{% for r in repairs %}
<tr><td>{{ r.feed }}</td>
<td class="code">{{ r.column_name }}</td>
<td class="code">{{ r.repair }}</td>
<td class="n">{{ r.count_rows | int | number }}</td>
<td class="code">{{ r.path }}:{{ r.first_line }}</td></tr>
{% endfor %}
</table></div>
{% else %}<div class="none">None 无</div>{% endif %}

<h2>Files <small>文件</small></h2>
{% if files %}
<div class="note">{% for status, count in statuses.items() %}
<span class="tag {{ status }}">{{ status }} {{ count }}</span>
{% endfor %}</div>
<div class="wrap"><table>
<tr><th>File 文件</th>
<th>Status 状态</th>
<th class="n">Size 大小</th>
<th class="n">Rows in 行数</th>
<th class="n">Accepted 接受</th>
<th class="n">Quarantined 隔离</th>
<th class="n">Superseded 被取代</th>
<th class="n">Skipped 跳过</th>
<th class="n">Refused 拒收</th>
<th class="n">Seconds 秒</th></tr>
{% for f in files %}
<tr><td class="code path">{{ f.path }}</td>
<td><span class="tag {{ f.status }}">{{ f.status }}</span>
</td>
<td class="n">{{ f.bytes | size }}</td>
<td class="n">{{ f.rows_in | number }}</td>
<td class="n">{{ f.rows_loaded | number }}</td>
<td class="n">{{ f.rows_quarantined | number }}</td>
<td class="n">{{ f.rows_superseded | number }}</td>
<td class="n">{{ f.rows_skipped | number }}</td>
<td class="n">{{ f.rows_refused | number }}</td>
<td class="n">{{ '%.1f' | format(f.seconds or 0) }}</td></tr>
{% if f.message %}
<tr><td colspan="10" class="says">
{{ f.refused_by + ': ' if f.refused_by else '' }}{{ f.message }}</td></tr>
{% endif %}
{% endfor %}
</table></div>
{% if files_more %}
<div class="note">… and {{ files_more | number }} more: kehu status --batches</div>
{% endif %}
{% else %}<div class="none">No file was new. 无新文件</div>{% endif %}

<h2>The last nights <small>近期趋势</small></h2>
<div class="wrap"><table>
<tr><th>Night 日期</th>
<th class="n">Files 文件</th>
<th class="n">Rows in 行数</th>
<th></th>
<th class="n">Quarantined 隔离</th>
<th></th>
<th class="n">Refused files 拒收文件</th>
<th class="n">Warnings 警告</th></tr>
{% for t in trend %}
<tr><td>{{ t.as_of_date }}</td>
<td class="n">{{ t.count_files | number }}</td>
<td class="n">{{ t.rows_in | int | number }}</td>
<td><div class="bars"><i style="width: {{ t.bar }}%"></i></div></td>
<td class="n">{{ t.rows_quarantined | int | number }} ({{ t.share | share }})</td>
<td><div class="bars">{% if t.bad %}<i class="bad" style="width: {{ t.bad }}%"></i>{% endif %}</div></td>
<td class="n">{{ t.count_refused }}</td><td class="n">{{ t.count_warnings }}</td></tr>
{% endfor %}
</table></div>

<footer>Kehu {{ version }}, made at {{ made_at | time }}.
Rows in = accepted + quarantined + superseded + skipped + refused, for every file.</footer>
</main>
</body>
</html>
"""
