"""Rows of `coverage.py` as a Markdown table, with the totals below."""

import math
import statistics

HEAD = ("net", "int8", "error", "stock", "ratio", "gap", "float16", "dynamic", "time", "fit", "channels", "raw")


def state(row) -> str:
    """One word for int8: integer, remedy, refused, raw, or empty where it was not measured."""
    if "int8" not in row:
        return ""
    if row["int8"].startswith("PASS"):
        return "integer"
    if row["int8"].startswith("refused; "):
        return "remedy"
    is_raw = row.get("raw") or row.get("raw_int8") or row["int8"].startswith(("DIED", "timeout"))
    return "raw" if is_raw else "refused"


def raw(row) -> list[str]:
    """The phases that ended in an error of TensorFlow, of Python, or of the process."""
    names = [k.removeprefix("raw_") for k in row if k.startswith("raw_") and row[k]]
    names += ["int8"] if row.get("raw") else []
    return sorted({*names, *row.get("died", {})})


def figure(row, column: str) -> float | None:
    """A number of a row; None where it was not measured or an error stands there."""
    value = row.get(column)
    return None if isinstance(value, str) else value


def ratio_of(row, above: str, below: str) -> float | None:
    """Ratio of two columns, where both were measured."""
    over, under = figure(row, above), figure(row, below)
    return over / under if over is not None and under else None


def errors_of(row, mode: str) -> list:
    """The error of a mode's file, a text where there is none; empty where it was not measured."""
    found = row.get("modes", {})
    return [found] if isinstance(found, str) else [found[mode]] if mode in found else []


def table(rows: list[dict]) -> str:
    """Returns the rows as a Markdown table, with the totals."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for row in rows:
        stock = _number(figure(row, "stock")) + (f" ({row['stock_float']} float)" if row.get("stock_float") else "")
        cells = (
            row["name"],
            row.get("int8", row.get("build", ""))[:110],
            _number(row.get("error")),
            stock or ("failed" if {"stock", "stock_failed"} & set(row) else ""),
            _number(ratio_of(row, "error", "stock"), 2),
            _number(row.get("gap"), 1),
            *(" ".join(map(_mode, errors_of(row, mode))) for mode in ("float16", "dynamic")),
            _number(ratio_of(row, "time", "stock_time"), 1),
            row.get("fit", "")[:80],
            row.get("channels", "")[:80],
            " ".join(raw(row)),
        )
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join([*lines, "", *totals(rows)])


def totals(rows: list[dict]) -> list[str]:
    """The figures of all rows, each over those that were measured."""
    tried = [r for r in rows if state(r)]
    count = {word: sum(state(r) == word for r in tried) for word in ("integer", "remedy", "refused", "raw")}
    lines = [f"nets: {len(rows)}; raw errors on {sum(bool(raw(r)) for r in rows)}"]
    lines.append(
        f"int8: {_share(count['integer'], len(tried))} integer; refused with a remedy that works {count['remedy']}, "
        f"refused without one {count['refused']}, raw errors {count['raw']}"
    )
    for mode in ("float16", "dynamic", "float32", "int16x8"):
        found = [error for r in rows for error in errors_of(r, mode)]
        lines.append(f"{mode}: {_share(sum(not isinstance(v, str) for v in found), len(found))} PASS")
    both = [r for r in rows if ratio_of(r, "error", "stock") is not None]
    pure = [r for r in both if state(r) == "integer" and not r.get("stock_float")]
    lines += [_errors("both files integer", pure), _errors("all with both files", both)]
    for arm, what in (("stock_time", "stock"), ("guide_time", "stock as its guide has it")):
        times = [t for t in (ratio_of(r, "time", arm) for r in rows) if t]
        if times:
            middle = f"median {statistics.median(times):.1f}, largest {max(times):.1f}"
            lines.append(f"time, ours / {what} ({len(times)} nets): {middle}")
    fits = [r["fit"] for r in rows if "fit" in r]
    lines.append(f"fit: {_share(sum(f.startswith('PASS') for f in fits), len(fits))} PASS")
    cuts = [r["channels"] for r in rows if "channels" in r]
    exact, named = sum(", exact" in c for c in cuts), sum(c.startswith(("nothing cut", "refused")) for c in cuts)
    lines.append(f"channels: {_share(exact, len(cuts))} smaller and exact; {named} with the reasons named")
    return lines


def _errors(what: str, rows: list[dict]) -> str:
    ratios = [max(ratio_of(r, "error", "stock"), 1e-9) for r in rows]
    if not ratios:
        return f"error, ours / stock, {what}: none measured"
    mean = math.exp(statistics.fmean(math.log(r) for r in ratios))
    over = sum(r > 1.2 for r in ratios)
    worst = max(zip(ratios, (r["name"] for r in rows), strict=True))
    figures = f"geometric mean {mean:.2f}, largest {worst[0]:.2f} ({worst[1]}), above 1.2: {over}"
    return f"error, ours / stock, {what} ({len(ratios)} nets): {figures}"


def _share(count: int, of: int) -> str:
    return f"{count} of {of}" + (f" ({100 * count / of:.0f} %)" if of else "")


def _mode(value) -> str:
    return value[:40] if isinstance(value, str) else f"{value:.3f}"


def _number(value, digits=3) -> str:
    return "" if value is None else f"{value:.{digits}f}"
