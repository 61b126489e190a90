"""The style sheet of the HTML report: system fonts, one accent colour, light and dark, screens, phones and print."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f5f1; --card: #ffffff; --ink: #1d2129; --muted: #5f6875; --rule: #dfe2e6;
  --accent: #2f5bd7; --warm: #b45309; --warm-back: #fdf3e3; --chosen: #eef2fd;
  --tfc-paper: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171c; --card: #1c2027; --ink: #e6e8eb; --muted: #9aa3af; --rule: #313742;
    --accent: #8fadff; --warm: #f5b45c; --warm-back: #33270f; --chosen: #232c42;
    --tfc-ink: #e6e8eb; --tfc-muted: #9aa3af; --tfc-grid: #313742; --tfc-track: #2a303a;
    --tfc-paper: #1c2027; --tfc-good: #4cc49b; --tfc-bad: #ff7a6e;
    --tfc-series0: #8fadff; --tfc-series1: #f5a04e; --tfc-series2: #4cc49b;
    --tfc-series3: #c792ea; --tfc-series4: #f58ba0; --tfc-series5: #92a9b8;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
header, main, footer { max-width: 70rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 3.5rem; padding-bottom: 1rem; }
h1 {
  margin: 0; font-size: clamp(1.7rem, 1.2rem + 2.2vw, 2.6rem); line-height: 1.15;
  letter-spacing: -0.02em; font-weight: 680; text-wrap: balance;
}
.subtitle { margin: 0.6rem 0 0; color: var(--muted); font-size: 1.05rem; max-width: 46rem; }
nav { display: flex; flex-wrap: wrap; gap: 0.35rem 1.1rem; margin-top: 1.4rem; font-size: 0.9rem; }
nav a { color: var(--accent); text-decoration: none; }
nav a:hover, nav a:focus-visible { text-decoration: underline; }
section { margin: 0 0 1.5rem; }
section:not(.picture):not(.warning):has(> h2) { margin-top: 2.4rem; }
h2 { margin: 0 0 0.8rem; font-size: 1.15rem; font-weight: 640; letter-spacing: -0.01em; }
p { margin: 0 0 0.8rem; max-width: 46rem; }
.remark, figcaption { color: var(--muted); font-size: 0.875rem; margin: 0.6rem 0 0;
  max-width: 46rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1px;
  margin: 0; background: var(--rule); border: 1px solid var(--rule); border-radius: 12px;
  overflow: hidden; }
.facts div { background: var(--card); padding: 1rem 1.15rem 1.05rem; }
.facts dt { color: var(--muted); font-size: 0.85rem; }
.facts dd { margin: 0.15rem 0 0; font-size: 1.6rem; line-height: 1.2; font-weight: 640;
  letter-spacing: -0.02em; font-variant-numeric: tabular-nums; white-space: nowrap; }
.facts dd.remark { white-space: normal;
  font-size: 0.82rem; line-height: 1.4; font-weight: 400; letter-spacing: 0;
  margin-top: 0.3rem; }
.warning { background: var(--warm-back); border-left: 4px solid var(--warm);
  border-radius: 0 8px 8px 0; padding: 0.85rem 1.1rem; }
.warning p { margin: 0; max-width: none; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; background: var(--card); font-size: 0.92rem;
  font-variant-numeric: tabular-nums; }
main section > .scroll { border: 1px solid var(--rule); border-radius: 12px; }
td:first-child { white-space: normal; min-width: 8.5rem; }
th, td { padding: 0.55rem 0.7rem; text-align: left; white-space: nowrap;
  border-bottom: 1px solid var(--rule); }
tbody tr:last-child td { border-bottom: 0; }
th { font-weight: 560; color: var(--muted); font-size: 0.84rem; white-space: normal;
  vertical-align: bottom; line-height: 1.3; }
.number { text-align: right; }
.chosen td { background: var(--chosen); font-weight: 600; }
.row { columns: 2 26rem; column-gap: 1.5rem; margin: 2.4rem 0 0; }
.row .picture { margin: 0 0 1.5rem; break-inside: avoid; }
.picture { background: var(--card); border: 1px solid var(--rule); border-radius: 12px;
  padding: 1.2rem 1.3rem; }
figure { margin: 0; }
figure svg { display: block; width: 100%; height: auto; min-width: 23rem; margin: 0 auto; }
pre { margin: 0; padding: 1rem 1.15rem; overflow-x: auto; background: var(--card);
  border: 1px solid var(--rule); border-radius: 12px;
  font: 0.82rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
footer { color: var(--muted); font-size: 0.85rem; padding-top: 1rem; padding-bottom: 3rem; }
@media (max-width: 40rem) {
  header, main, footer { padding-left: 1rem; padding-right: 1rem; }
  header { padding-top: 2rem; }
  .picture { padding: 1rem 0.9rem; }
  .facts { grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); }
  .facts dd { font-size: 1.35rem; }
  th, td { padding: 0.5rem 0.6rem; }
}
@media print {
  body { background: none; font-size: 11pt; }
  nav { display: none; }
  section, .row { break-inside: avoid; }
}
"""
