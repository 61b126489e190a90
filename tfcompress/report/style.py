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
.facts { display: flex; flex-wrap: wrap; gap: 1px; margin: 0; background: var(--rule);
  border: 1px solid var(--rule); border-radius: 12px; overflow: hidden; }
.facts div { flex: 1 1 9.5rem; background: var(--card); padding: 1rem 1.15rem 1.05rem; }
.facts dt { color: var(--muted); font-size: 0.85rem; }
.facts dd { margin: 0.15rem 0 0; font-size: 1.6rem; line-height: 1.2; font-weight: 640;
  letter-spacing: -0.02em; font-variant-numeric: tabular-nums; white-space: nowrap; }
.facts dd.remark { white-space: normal;
  font-size: 0.82rem; line-height: 1.4; font-weight: 400; letter-spacing: 0;
  margin-top: 0.3rem; }
.lead { margin: 1.5rem 0 0; border-left: 4px solid var(--accent); padding: 0.1rem 0 0.1rem 1.1rem; }
.lead p { font-size: 1.2rem; line-height: 1.45; margin: 0 0 0.3rem; max-width: 52rem; }
.lead p:last-child { margin: 0; }
.warning { background: var(--warm-back); border-left: 4px solid var(--warm);
  border-radius: 0 8px 8px 0; padding: 0.85rem 1.1rem; }
.warning p { margin: 0; max-width: none; }
.frame { border: 1px solid var(--rule); border-radius: 12px; overflow: hidden; }
.short { width: fit-content; max-width: 100%; min-width: min(100%, 24rem); }
table { border-collapse: collapse; width: 100%; background: var(--card); font-size: 0.92rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: 0.55rem 0.7rem; text-align: left; overflow-wrap: anywhere;
  border-bottom: 1px solid var(--rule); }
.number { white-space: nowrap; }
td:first-child { min-width: 7rem; }
tbody tr:last-child td { border-bottom: 0; }
th { font-weight: 560; color: var(--muted); font-size: 0.84rem; white-space: normal;
  vertical-align: bottom; line-height: 1.3; }
th { overflow-wrap: normal; }
th.number { white-space: normal; }
.number { text-align: right; }
.chosen td { background: var(--chosen); font-weight: 600; }
.row { columns: 2 26rem; column-gap: 1.5rem; margin: 2.4rem 0 0; }
.row .picture { margin: 0 0 1.5rem; break-inside: avoid; }
.picture { background: var(--card); border: 1px solid var(--rule); border-radius: 12px;
  padding: 1.2rem 1.3rem; }
figure { margin: 0; }
figure svg { display: block; width: 100%; height: auto; margin: 0 auto; }
.gallery { list-style: none; margin: 0; padding: 0; display: grid; gap: 0.9rem;
  grid-template-columns: repeat(auto-fill, minmax(6.4rem, 1fr)); }
.gallery li { min-width: 0; background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: 0.5rem; font-size: 0.85rem; line-height: 1.35; overflow-wrap: anywhere; }
.gallery img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; margin-bottom: 0.35rem;
  image-rendering: pixelated; border-radius: 5px; }
.gallery span { display: block; }
.gallery span:first-of-type { font-weight: 600; }
.gallery span:last-child { color: var(--muted); font-size: 0.8rem; }
.gallery .bad { border-color: var(--tfc-bad, #c2362b); }
.gallery .bad span:first-of-type { color: var(--tfc-bad, #c2362b); }
.gallery .good { border-color: var(--tfc-good, #13795b); }
.gallery .good span:first-of-type { color: var(--tfc-good, #13795b); }
pre { margin: 0; padding: 1rem 1.15rem; white-space: pre-wrap; overflow-wrap: anywhere; background: var(--card);
  border: 1px solid var(--rule); border-radius: 12px;
  font: 0.82rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
footer { color: var(--muted); font-size: 0.85rem; padding-top: 1rem; padding-bottom: 3rem; }
@media (max-width: 40rem) {
  header, main, footer { padding-left: 1rem; padding-right: 1rem; }
  header { padding-top: 2rem; }
  .picture { padding: 1rem 0.9rem; }
  .facts div { flex-basis: 8.5rem; }
  .facts dd { font-size: 1.35rem; }
  th, td { padding: 0.45rem 0.5rem; }
  td:first-child { min-width: 4.5rem; }
  .lead p { font-size: 1.08rem; }
  .cards thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .cards, .cards tbody, .cards tr { display: block; }
  .cards tr { padding: 0.5rem 0.75rem; border-bottom: 1px solid var(--rule); }
  .cards tr:last-child { border-bottom: 0; }
  .cards td { display: flex; justify-content: space-between; gap: 1rem; padding: 0.14rem 0; border: 0;
    min-width: 0; text-align: right; white-space: normal; }
  .cards td::before { content: attr(data-label); color: var(--muted); text-align: left; font-weight: 400; }
  .cards td:first-child { font-weight: 600; text-align: left; }
  .cards td:first-child::before { content: none; }
  .cards .chosen { background: var(--chosen); }
}
@media print {
  body { background: none; font-size: 11pt; }
  nav { display: none; }
  section, .row { break-inside: avoid; }
}
"""
