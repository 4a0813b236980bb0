"""How long the models of visits and values take on many customers, and what they recover.

    scripts/benchmark_score.py [--customers 1000000] [--lifetimes] [--lifetimes-python PATH]

Simulates customers who live the story of BG/NBD (so that MBG/NBD is fitted to what it is not meant
for, too) with values of Gamma-Gamma, two years of days, and prints seconds for grouping and fitting.
With `--lifetimes`, the package lifetimes fits the same statistics: it gets an environment of its own
in a temporary folder, because it needs an older setuptools, or the Python named by
`--lifetimes-python`. Its fits are of BG/NBD and Gamma-Gamma on every customer, as it does by default.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from kehu.score import spend, visits

DAYS = 730
VISITS = {"r": 0.6, "alpha": 6.0, "a": 0.8, "b": 2.5}
SPEND = {"p": 6.0, "q": 4.0, "gamma": 15.0}
LIFETIMES = ["lifetimes==0.11.3", "setuptools<81", "pandas<3", "numpy<2.5", "scipy"]

# Runs in the other environment: reads the statistics, fits, prints seconds and parameters.
THERE = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np
from lifetimes import BetaGeoFitter, GammaGammaFitter, ModifiedBetaGeoFitter

data = np.load(sys.argv[1])
x, t_x, t, mean = (data[n] for n in ("x", "t_x", "t", "mean"))
done = {}
for name, fitter in (("BG_NBD", BetaGeoFitter()), ("MBG_NBD", ModifiedBetaGeoFitter())):
    begun = time.perf_counter()
    fitter.fit(x, t_x, t)
    done[name] = {"seconds": time.perf_counter() - begun, **{k: float(v) for k, v in fitter.params_.items()}}
known = x > 0
fitter = GammaGammaFitter()
begun = time.perf_counter()
fitter.fit(x[known], mean[known])
done["GAMMA_GAMMA"] = {
    "seconds": time.perf_counter() - begun, **{k: float(v) for k, v in fitter.params_.items()}
}
print(json.dumps(done))
"""

T = TypeVar("T")


def simulate(customers: int, seed: int) -> dict[str, NDArray[np.int64]]:
    """Repeat visits, first and last day, sum of repeat values in cents, one entry per customer."""
    dice = np.random.default_rng(seed)
    rate = dice.gamma(VISITS["r"], 1 / VISITS["alpha"], customers) / 7
    leave = dice.beta(VISITS["a"], VISITS["b"], customers)
    first = dice.integers(0, DAYS - 30, customers)
    x, last = np.zeros(customers, dtype=np.int64), first.astype(np.float64)
    clock = last.copy()
    there = np.arange(customers)
    while len(there):
        clock[there] += dice.exponential(1 / rate[there])
        there = there[clock[there] <= DAYS]
        x[there] += 1
        last[there] = clock[there]
        there = there[dice.random(len(there)) >= leave[there]]
    worth = dice.gamma(SPEND["q"], 1 / SPEND["gamma"], customers)
    cents = np.round(dice.gamma(SPEND["p"] * np.maximum(x, 1), 1 / worth) * 100)
    return {
        "x": x,
        "first": first,
        "last": np.minimum(np.ceil(last), DAYS).astype(np.int64),
        "cents": np.where(x > 0, cents, 0).astype(np.int64),
    }


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds and result."""
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def with_lifetimes(data: dict[str, NDArray[np.int64]], python: Path | None) -> dict[str, Any]:
    """Seconds and parameters of lifetimes on the same statistics, by model."""
    with tempfile.TemporaryDirectory(prefix="kehu-benchmark-") as folder:
        work = Path(folder)
        if python is None:
            subprocess.run([sys.executable, "-m", "venv", str(work / "venv")], check=True)
            python = work / "venv" / "bin" / "python"
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *LIFETIMES], check=True)
        x = data["x"]
        np.savez(
            work / "statistics.npz",
            x=x.astype(np.float64),
            t_x=(data["last"] - data["first"]) / 7.0,
            t=(DAYS - data["first"]) / 7.0,
            mean=data["cents"] / 100.0 / np.maximum(x, 1),
        )
        (work / "there.py").write_text(THERE)
        done = subprocess.run(
            [str(python), str(work / "there.py"), str(work / "statistics.npz")],
            check=True,
            capture_output=True,
            text=True,
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(
    customers: Annotated[int, typer.Option(help="How many to simulate.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Other dice.")] = 1,
    lifetimes: Annotated[bool, typer.Option("--lifetimes", help="Compare with it.")] = False,
    lifetimes_python: Annotated[
        Path | None, typer.Option(help="A Python that has lifetimes.")
    ] = None,
) -> None:
    """Measure the fits of kehu.score."""
    out = Console(width=200)
    spent, data = timed(lambda: simulate(customers, seed))
    out.print(f"{customers:,} customers simulated in {spent:.1f} s, seed {seed}")
    grouping, (histories, _) = timed(
        lambda: visits.group(data["x"], data["first"], data["last"], DAYS)
    )
    spend_grouping, spendings = timed(lambda: spend.group(data["x"], data["cents"]))
    rows: list[tuple[str, int, float, float, dict[str, float], bool]] = []
    for model in visits.MODELS:
        fitting, fit = timed(lambda m=model: visits.fit(m, histories))  # type: ignore[misc]
        names = {n: getattr(fit.fitted, n) for n in VISITS}
        rows.append((model, len(histories.x), grouping, fitting, names, fit.converged))
    fitting, value = timed(lambda: spend.fit(spendings))
    names = {n: getattr(value.fitted, n) for n in SPEND}
    rows.append(("GAMMA_GAMMA", len(spendings.x), spend_grouping, fitting, names, value.converged))
    theirs: dict[str, Any] = {}
    if lifetimes or lifetimes_python is not None:
        theirs = with_lifetimes(data, lifetimes_python)

    table = Table(title="Seconds", title_justify="left")
    for column in ("model", "groups", "grouping", "fitting", "lifetimes", "times", "converged"):
        table.add_column(column, justify="left" if column == "model" else "right")
    table.add_column("found")
    table.add_column("lifetimes found")
    for model, groups, first, second, found, converged in rows:
        their = theirs.get(model, {})
        seconds = their.pop("seconds", None)
        table.add_row(
            model,
            f"{groups:,}",
            f"{first:.2f}",
            f"{second:.2f}",
            "" if seconds is None else f"{seconds:.2f}",
            "" if seconds is None else f"{seconds / (first + second):.1f}",
            "yes" if converged else "no",
            " ".join(f"{n}={v:.4f}" for n, v in found.items()),
            " ".join(f"{n}={v:.4f}" for n, v in their.items()),
        )
    out.print(table, soft_wrap=True)
    truth = " ".join(f"{n}={v}" for n, v in (VISITS | SPEND).items())
    out.print(f"simulated with {truth}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
