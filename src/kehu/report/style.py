"""How report and page look: one sheet for both, and what only one of them needs. No address in it."""

FONT = (
    'system-ui, -apple-system, "Segoe UI", Roboto, "PingFang SC", "Microsoft YaHei", '
    '"Noto Sans CJK SC", "Source Han Sans SC", sans-serif'
)

COMMON = f"""
:root {{ --ink: #17212b; --soft: #52606d; --line: #d9e0e6; --back: #f3f5f7; --card: #fff;
  --good: #136b3e; --good-back: #e0f2e8; --bad: #a3201a; --bad-back: #fbe4e2;
  --warn: #7a4d00; --warn-back: #fdf0d5; --blue: #1f4e8c; --blue-back: #e4edf8; --mute-back: #e9edf0; }}
* {{ box-sizing: border-box; }}
html {{ -webkit-text-size-adjust: 100%; }}
body {{ margin: 0; background: var(--back); color: var(--ink); font: 15px/1.55 {FONT};
  font-variant-numeric: tabular-nums; }}
h1, h2, h3, h4, p, figure, ul, ol, dl, dd {{ margin: 0; padding: 0; }}
h1 {{ font-size: 22px; line-height: 1.25; }}
h2 {{ font-size: 18px; line-height: 1.3; margin: 30px 0 10px; }}
h3 {{ font-size: 15.5px; line-height: 1.4; }}
a {{ color: var(--blue); }}
a:focus-visible, button:focus-visible, select:focus-visible, summary:focus-visible,
[tabindex]:focus-visible {{ outline: 3px solid #1f6feb; outline-offset: 2px; border-radius: 3px; }}
.soft {{ color: var(--soft); }} .small {{ font-size: 13px; }}
.card {{ background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: 12px 14px; }}
.tag {{ display: inline-block; border-radius: 3px; padding: 0 6px; font-size: 12px; line-height: 19px;
  background: var(--mute-back); color: #3c4853; white-space: nowrap; font-weight: 600; }}
.tag.MET {{ background: var(--good-back); color: var(--good); }}
.tag.BELOW_TARGET, .tag.simulated {{ background: var(--warn-back); color: var(--warn); }}
.tag.BREACHED, .tag.CHANGED {{ background: var(--bad-back); color: var(--bad); }}
.tag.simulated {{ border: 1px dashed #b98a2f; line-height: 17px; }}
.value + .more .tag {{ margin-right: 2px; }}
abbr {{ text-decoration: underline dotted 1px; text-underline-offset: 3px; }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(178px, 1fr)); gap: 10px;
  list-style: none; }}
.tile {{ background: var(--card); border: 1px solid var(--line); border-left: 5px solid #b6c1cb;
  border-radius: 6px; padding: 8px 12px 9px; min-width: 0; }}
.tile.MET {{ border-left-color: #1f9d5b; }} .tile.BELOW_TARGET {{ border-left-color: #d9940b; }}
.tile.BREACHED {{ border-left-color: #c62f27; }}
.tile .name {{ font-size: 13px; color: var(--soft); line-height: 1.35; }}
.tile .value {{ font-size: 21px; font-weight: 650; line-height: 1.3; word-break: keep-all;
  overflow-wrap: anywhere; }}
.tile .value .none {{ font-size: 16px; font-weight: 400; }}
.tile .more {{ font-size: 12.5px; color: var(--soft); line-height: 1.5; }}
.problems {{ display: grid; gap: 10px; list-style: none; }}
.problem {{ background: var(--card); border: 1px solid var(--line); border-left: 5px solid #c62f27;
  border-radius: 6px; padding: 10px 14px; }}
.problem .do {{ list-style: none; margin-top: 6px; padding: 5px 10px; background: var(--blue-back);
  border-radius: 4px; }}
.problem .do li + li {{ margin-top: 4px; }}
.problem .do strong::before {{ content: "→ "; color: var(--blue); }}
.fine {{ border-left: 5px solid #1f9d5b; }}
.wrap {{ overflow-x: auto; max-width: 100%; }}
table {{ border-collapse: collapse; width: 100%; font-size: 13.5px; }}
th, td {{ text-align: left; padding: 5px 7px; border-bottom: 1px solid var(--line);
  vertical-align: top; }}
th {{ color: var(--soft); font-weight: 600; }}
td.n, th.n {{ text-align: right; }} td.n, time, .tag {{ white-space: nowrap; }}
.tag.few {{ white-space: normal; }}
figure {{ display: flow-root; background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: 12px 14px; min-width: 0; }}
figure .canvas {{ overflow-x: auto; margin-top: 8px; }}
figure .canvas svg {{ display: block; width: 100%; height: auto; min-width: 300px; }}
figcaption {{ margin-top: 6px; color: var(--soft); font-size: 13.5px; }}
figure .missing {{ margin-top: 8px; padding: 26px 14px; background: var(--mute-back);
  border-radius: 4px; color: #3c4853; text-align: center; }}
details {{ margin-top: 6px; font-size: 13.5px; }}
summary {{ cursor: pointer; color: var(--blue); padding: 3px 0; }}
details .wrap {{ max-height: 340px; overflow: auto; }}
pre {{ background: #f7f9fa; border: 1px solid var(--line); border-radius: 4px; padding: 8px 10px;
  margin: 6px 0 0; overflow-x: auto; font: 12.5px/1.5 ui-monospace, Menlo, Consolas, monospace; }}
.cite {{ color: var(--soft); font-size: 12.5px; white-space: normal; }}
.cite a {{ text-decoration-thickness: 1px; }}
"""

PAGE = """
.skip { position: absolute; left: -9999px; } .skip:focus { left: 8px; top: 8px; z-index: 9;
  background: #fff; padding: 6px 12px; border-radius: 4px; }
header { background: #fff; border-bottom: 1px solid var(--line); }
.inner { max-width: 1320px; margin: 0 auto; padding: 10px 20px; }
header .inner { display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: center;
  justify-content: space-between; }
.controls { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; }
.controls label { font-size: 13px; color: var(--soft); }
.controls select, .controls button { font: inherit; color: inherit; min-height: 36px; padding: 4px 10px;
  border: 1px solid #8795a1; border-radius: 5px; background: #fff; max-width: 100%; }
.controls button[aria-pressed=true] { background: var(--blue); border-color: var(--blue); color: #fff; }
.languages { display: flex; gap: 4px; }
.first { display: grid; grid-template-columns: minmax(0, 1.45fr) minmax(0, 1fr); gap: 6px 20px; }
.first .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; }
.first h2, .first h2:first-child { margin-top: 12px; }
.verdict { font-size: 21px; font-weight: 650; line-height: 1.35; }
.bar { display: flex; height: 12px; border-radius: 6px; overflow: hidden; margin: 8px 0 6px;
  background: var(--mute-back); }
.bar i { display: block; height: 100%; } .bar .met { background: #1f9d5b; }
.bar .below_target { background: #d9940b; } .bar .breached { background: #c62f27; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 520px), 1fr));
  gap: 16px; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 540px), 1fr)); gap: 14px;
  align-items: start; } .stack { display: grid; grid-template-columns: minmax(0, 1fr); gap: 14px; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.links { display: flex; flex-wrap: wrap; gap: 6px 18px; }
[hidden] { display: none !important; }
footer { color: var(--soft); font-size: 13px; }
@media (max-width: 900px) { .first { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 480px) { body { font-size: 15px; } .inner { padding: 10px 12px; }
  .tile { padding: 7px 9px; }
  .tile .value { font-size: 19px; } .controls { width: 100%; } .controls .store { flex: 1; min-width: 0; }
  .controls select { width: 100%; } .verdict { font-size: 18px; } .problem { padding: 9px 11px; }
  figure { padding: 8px 4px; } figcaption, figure details { padding: 0 6px; } }
@media print { header .controls, .skip { display: none; } body { background: #fff; }
  figure, .problem, .tile { break-inside: avoid; } }
"""

REPORT = """
body { background: #fff; }
main { max-width: 980px; margin: 0 auto; padding: 18px 22px 60px; }
.switch { position: absolute; opacity: 0; width: 1px; height: 1px; }
.choice { display: flex; gap: 6px; justify-content: flex-end; }
.choice label { border: 1px solid #8795a1; border-radius: 5px; padding: 4px 12px; cursor: pointer; }
#zh:checked ~ .choice label[for=zh], #en:checked ~ .choice label[for=en] { background: var(--blue);
  border-color: var(--blue); color: #fff; }
#zh:focus-visible ~ .choice label[for=zh], #en:focus-visible ~ .choice label[for=en] {
  outline: 3px solid #1f6feb; outline-offset: 2px; }
#zh:checked ~ .in-en, #en:checked ~ .in-zh { display: none; }
h1 { font-size: 28px; margin-top: 8px; } h2 { font-size: 20px; margin: 34px 0 12px;
  border-bottom: 2px solid var(--ink); padding-bottom: 4px; }
h3 { margin: 16px 0 6px; }
.lead { font-size: 17px; margin: 12px 0; }
.facts { color: var(--soft); margin-top: 4px; }
.sentences { list-style: none; } .sentences > li { padding: 5px 0; border-bottom: 1px dotted var(--line); }
.problem { margin-bottom: 10px; } .problem h3 { margin-top: 0; } .advice { border-left-color: var(--blue); }
.drawn { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 14px;
  margin: 12px 0; } .drawn figure { max-width: 620px; }
.sql section { margin: 14px 0; } .sql h3 { margin: 0; }
:target { background: #fff7d6; }
@page { size: A4; margin: 16mm 14mm 18mm;
  @bottom-right { content: counter(page) " / " counter(pages); font: 9pt sans-serif; color: #52606d; } }
@media print { body { font-size: 10.5pt; } main { max-width: none; padding: 0; }
  .choice, .switch { display: none; }
  .tile, .problem, figure .canvas, tr, .sentences > li { break-inside: avoid; }
  h2, h3, h4 { break-after: avoid; } .drawn { grid-template-columns: 1fr 1fr; }
  .drawn figure { break-inside: avoid; padding: 4px 6px; }
  figure .canvas { overflow: visible; } figure .canvas svg { min-width: 0; }
  details .wrap, .wrap { max-height: none; overflow: visible; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  .tiles { grid-template-columns: repeat(4, 1fr); } a { color: inherit; text-decoration: none; } }
"""
