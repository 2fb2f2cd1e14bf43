"""The style of the HTML report, light and dark, narrow and printed. Constant: its hash stands in the page's policy."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1b1f24; --soft: #57606a; --line: #d8dee4; --code: #f3f5f8;
  --mark: #fff4d6; --mark-line: #d9a400; --focus: #0b57d0; --link: #0b57d0;
  --dangerous: #a8201a; --dangerous-tint: #fdecea; --unjudged: #6f3aa8; --unjudged-tint: #f3ecfb;
  --unvetted: #845400; --unvetted-tint: #fdf3dc; --clean: #1c6b3f; --clean-tint: #e6f5ec;
  --skipped: #57606a; --skipped-tint: #eef0f3;
  --c0: #42709f; --c1: #3d7a6c; --c2: #8a6128; --c3: #745d9c; --c4: #96525c; --c5: #58733a; --c6: #2f7589;
  --c7: #7c5f49; --rest: #656d76; --in: rgba(255, 255, 255, .82); --in-ink: #1b1f24; --out-ink: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1318; --card: #171c23; --ink: #e4e8ed; --soft: #9aa5b1; --line: #2d353f; --code: #10151b;
    --mark: #3a2f10; --mark-line: #d9a400; --focus: #8ab4f8; --link: #8ab4f8;
    --dangerous: #ff9d94; --dangerous-tint: #431c1a; --unjudged: #cfb0f5; --unjudged-tint: #322246;
    --unvetted: #f0c464; --unvetted-tint: #3a2d10; --clean: #84d3a2; --clean-tint: #16331f;
    --skipped: #a9b3be; --skipped-tint: #262d36;
    --c0: #3d6390; --c1: #3f7a6c; --c2: #8a6833; --c3: #6b5793; --c4: #874d56; --c5: #566f3c; --c6: #3a7a8c;
    --c7: #755c49; --rest: #5a636d; --in: rgba(10, 14, 18, .55); --in-ink: #e4e8ed; --out-ink: #ffffff;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html { scroll-padding-top: 1rem; }
body {
  margin: 0; background: var(--page); color: var(--ink); line-height: 1.5;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", "DejaVu Sans", sans-serif;
}
code, pre { font: .88em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; line-height: inherit; }
header, main, footer { max-width: 68rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 1.75rem; }
h1 { font-size: 1rem; margin: 0 0 .6rem; color: var(--soft); font-weight: 600; }
h2 { font-size: 1.1rem; margin: 0; }
h3 { font-size: 1rem; margin: 0; }
h4 { font-size: .8rem; margin: 0; color: var(--soft); font-weight: 600; }
a { color: var(--link); }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; border-radius: 4px; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip { position: absolute; left: -999rem; }
.skip:focus { position: static; }
.whole { font-size: 1.7rem; font-weight: 700; line-height: 1.2; margin: 0; color: var(--tone); }
.said { margin: .3rem 0 1.2rem; color: var(--soft); max-width: 46rem; }
.dangerous { --tone: var(--dangerous); --tint: var(--dangerous-tint); }
.unjudged { --tone: var(--unjudged); --tint: var(--unjudged-tint); }
.unvetted { --tone: var(--unvetted); --tint: var(--unvetted-tint); }
.clean { --tone: var(--clean); --tint: var(--clean-tint); }
.skipped { --tone: var(--skipped); --tint: var(--skipped-tint); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; }
.cards { list-style: none; margin: 0 0 1rem; padding: 0; }
.cards li { display: flex; }
.card {
  flex: 1; display: flex; flex-direction: column; justify-content: flex-start; text-align: left;
  font: inherit; color: var(--ink); background: var(--card); padding: .6rem .9rem .65rem;
  border: 1px solid var(--line); border-left: 4px solid var(--tone); border-radius: 6px; cursor: pointer;
}
.card:hover { border-color: var(--tone); }
.card[aria-pressed="true"] { background: var(--tint); border-color: var(--tone); }
.card.zero { --tone: var(--skipped); border-left-color: var(--line); }
.card b { display: block; font-size: 1.5rem; line-height: 1.2; color: var(--tone); }
.card span { display: block; font-weight: 600; }
.card small { display: block; color: var(--soft); line-height: 1.35; }
@media (scripting: none) { .card { cursor: default; } .card:hover { border-color: var(--line); } }
#tools {
  display: flex; flex-wrap: wrap; gap: .6rem .75rem; align-items: end; background: var(--card);
  border: 1px solid var(--line); border-radius: 6px; padding: .75rem .9rem; margin-bottom: 1.25rem;
}
#tools label { display: block; font-size: .8rem; font-weight: 600; color: var(--soft); }
#tools .search { flex: 1 1 15rem; }
#tools input, #tools select, #tools button {
  font: inherit; color: var(--ink); background: var(--page); border: 1px solid var(--line); border-radius: 5px;
  padding: .3rem .5rem; height: 2.2rem;
}
#tools input, #tools select { width: 100%; border-color: var(--soft); }
#tools select { max-width: 14rem; }
#tools button { cursor: pointer; }
#tools button:disabled { opacity: .5; cursor: default; }
#count { flex-basis: 100%; margin: 0; color: var(--soft); font-size: .88rem; }
.panel, .file { background: var(--card); border: 1px solid var(--line); border-radius: 6px; margin-bottom: 1.25rem; }
.panel { padding: .9rem 1.1rem; }
.panel h2 { margin-bottom: .5rem; }
/* Positioned, or what is hidden in it for the eye would widen the page from outside of it. */
.scroll { overflow-x: auto; position: relative; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { text-align: left; color: var(--soft); font-size: .85rem; padding: 0 0 .35rem; }
th, td { text-align: left; padding: .3rem .75rem .3rem 0; border-top: 1px solid var(--line); vertical-align: top; }
th { font-weight: 400; }
thead th { color: var(--soft); font-size: .8rem; font-weight: 600; border-top: 0; white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.name { overflow-wrap: anywhere; width: 32%; }
.name a { text-decoration: none; }
.name a:hover, .name a:focus { text-decoration: underline; }
.panel .scroll { max-height: 30rem; overflow: auto; }
.rules { color: var(--soft); }
.badge {
  display: inline-block; background: var(--tint); color: var(--tone); font-weight: 700; font-size: .76rem;
  line-height: 1.5; padding: .05rem .5rem; border-radius: 4px; letter-spacing: .03em; white-space: nowrap;
}
.badge { text-transform: uppercase; }
.severity { font-size: .76rem; font-weight: 600; border: 1px solid var(--line); border-radius: 4px; padding: 0 .4rem; }
.severity { color: var(--soft); white-space: nowrap; }
.severity.critical, .severity.high { color: var(--dangerous); border-color: currentColor; }
.severity.medium { color: var(--unvetted); border-color: currentColor; }
.file { border-top: 3px solid var(--tone); overflow: hidden; }
.head { padding: .9rem 1.1rem .8rem; }
.title { display: flex; flex-wrap: wrap; gap: .3rem .7rem; align-items: center; }
.title h2 { overflow-wrap: anywhere; min-width: 0; }
.title h2 code { font-size: 1rem; }
.facts { display: flex; flex-wrap: wrap; gap: .1rem 1.4rem; margin: .45rem 0 0; font-size: .88rem; }
.facts div { display: flex; gap: .4rem; min-width: 0; }
.facts dt { color: var(--soft); white-space: nowrap; }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.finding { border-top: 1px solid var(--line); padding: .9rem 1.1rem 1rem; }
.finding .title { margin-bottom: .5rem; align-items: baseline; }
.finding h3 { overflow-wrap: anywhere; flex: 1 1 20rem; }
.rule { color: var(--soft); overflow-wrap: anywhere; text-decoration: none; }
a.rule:hover, a.rule:focus { text-decoration: underline; }
.meaning { margin: 0; font-size: .93rem; overflow-wrap: anywhere; }
.meaning dt { font-weight: 600; margin-top: .8rem; }
.meaning dd { margin: .15rem 0 0; max-width: 50rem; }
:target { scroll-margin-top: 1rem; background: var(--mark); }
.file:target { background: var(--card); outline: 2px solid var(--focus); }
.fields { display: grid; grid-template-columns: 5.5rem minmax(0, 1fr); gap: .35rem .75rem; margin: 0; }
.fields dt { color: var(--soft); font-size: .88rem; }
.fields dd { margin: 0; overflow-wrap: anywhere; }
.fields pre {
  margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; background: var(--code); border-radius: 4px;
  border-left: 3px solid var(--tone); padding: .35rem .6rem; max-height: 16rem; overflow-y: auto;
}
details { margin-top: .7rem; }
summary { cursor: pointer; font-size: .88rem; font-weight: 600; color: var(--soft); width: fit-content; }
details > .scroll { margin-top: .4rem; background: var(--code); border-radius: 4px; padding: .3rem .6rem .4rem; }
.opcodes { font-size: .84rem; }
.opcodes th, .opcodes td { padding: .12rem .9rem .12rem .35rem; border-top: 0; }
.opcodes thead th { padding-bottom: .2rem; }
.opcodes .wraps { overflow-wrap: anywhere; min-width: 9rem; max-width: 26rem; }
.opcodes .soft { color: var(--soft); }
.opcodes .here { background: var(--mark); }
.opcodes .here > :first-child { box-shadow: inset 3px 0 0 var(--mark-line); }
.more, .note { color: var(--soft); font-size: .88rem; margin: 0; padding: .7rem 1.1rem; }
.more, .note { border-top: 1px solid var(--line); }
.where { border-top: 1px solid var(--line); padding: .8rem 1.1rem 1rem; }
.where details { margin: 0; }
.where details > .scroll { background: none; padding: 0; }
.map { display: block; width: 100%; height: auto; margin: .6rem 0 .9rem; }
.map .out { fill: var(--tile); }
.map .in { fill: var(--in); }
.map text { font: 11.5px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: var(--in-ink); }
.map text.large { fill: var(--out-ink); font-weight: 600; }
.map g:hover > .in { fill-opacity: .7; }
.bar { display: block; width: 100%; min-width: 8rem; height: .55rem; margin-top: .4rem; }
.bar rect { fill: var(--tile); }
.bytes th.inner { padding-left: 1.4rem; }
.bytes th { overflow-wrap: anywhere; }
.bytes td:last-child { width: 34%; padding-right: 0; }
.c0 { --tile: var(--c0); } .c1 { --tile: var(--c1); } .c2 { --tile: var(--c2); } .c3 { --tile: var(--c3); }
.c4 { --tile: var(--c4); } .c5 { --tile: var(--c5); } .c6 { --tile: var(--c6); } .c7 { --tile: var(--c7); }
.rest { --tile: var(--rest); }
footer { color: var(--soft); font-size: .85rem; padding-bottom: 2.5rem; overflow-wrap: anywhere; }
@media (max-width: 640px) {
  header, main, footer { padding-left: .75rem; padding-right: .75rem; }
  .cards { grid-template-columns: 1fr 1fr; }
  .card small, .wide { display: none; }
  .name { width: auto; }
  .fields { grid-template-columns: minmax(0, 1fr); gap: .1rem; }
  .fields dd { margin-bottom: .35rem; }
  .map text { display: none; }
  .opcodes thead, .opcodes td:empty, .opcodes td:last-child { display: none; }
  .opcodes tr { display: grid; grid-template-columns: 3.75rem minmax(0, 1fr); padding: .15rem 0; }
  .opcodes td:nth-child(n + 3) { grid-column: 2; }
  .opcodes .wraps { min-width: 0; }
  #tools select { max-width: none; }
  #tools > div { flex: 1 1 9rem; }
  #tools .search { flex-basis: 100%; }
}
@media print {
  :root {
    color-scheme: light; --page: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; --code: #fff;
    --mark: #fff; --mark-line: #000; --link: #000; --dangerous: #8c1410; --unjudged: #55288a; --unvetted: #6b4400;
    --clean: #14502e; --skipped: #444; --dangerous-tint: #fff; --unjudged-tint: #fff; --unvetted-tint: #fff;
    --clean-tint: #fff; --skipped-tint: #fff; --in: rgba(255, 255, 255, .82); --in-ink: #000; --out-ink: #fff;
  }
  body { font-size: 10.5pt; }
  .cards { grid-template-columns: repeat(5, 1fr); }
  .panel table { font-size: 9pt; }
  header, main, footer { max-width: none; padding: 0; }
  #tools, .skip { display: none !important; }
  .badge { border: 1px solid currentColor; }
  .file { border-radius: 0; overflow: visible; }
  .scroll, .panel .scroll { overflow: visible; max-height: none; }
  .fields pre { max-height: none; overflow: visible; border: 1px solid var(--line); }
  .head, .title { break-after: avoid; }
  .finding .fields, .map, tr, .cards { break-inside: avoid; }
  .map, .bar, .badge { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .opcodes .here { font-weight: 700; }
}
"""
