"""Train a small model on a node's own copy of an archive: a bar's direction from the returns before it.

    mt5crs archive pull EURUSD --tf M1 --from 2020-01-01 --out archive     (where a gateway can be reached)
    rsync -a archive/ gpu:archive/
    python train_on_archive.py archive EURUSD --timeframe M15

A logistic regression in NumPy alone. It is trained on the first part of the bars and scored on the last,
which it has never seen, beside a baseline that always says what was more frequent in the first part. Prices
are close to a random walk: expect a score close to the baseline's. A higher one is no promise of a profit,
since neither spreads nor anything else is paid here.
"""

import argparse
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mt5crs.archive import resample, scan
from mt5crs.errors import BridgeError

Floats = NDArray[np.float64]

TEST_SHARE = 0.25
MORE = "pull more, or take a shorter timeframe"
MOST_LAGS = 1000
STEPS = 300
RATE = 0.5
SHRINK = 1e-3
"""Weight of the squared weights: keeps them small where the data say little."""


class Score(NamedTuple):
    """How often something was right on bars that it had not seen.

    Attributes:
        model: Of the trained model.
        baseline: Of always saying what was more frequent in training.
        error: The standard error of such a share: smaller differences are noise.
        trained: Bars that it was trained on.
        tested: Bars that it was scored on.
    """

    model: float
    baseline: float
    error: float
    trained: int
    tested: int


def samples(closes: Floats, lags: int) -> tuple[Floats, Floats]:
    """Return the last returns before each bar, and whether it then rose (1) or fell (0).

    Bars that close where they opened teach nothing and are left out.
    """
    if len(closes) <= lags + 1:
        raise SystemExit(f"{len(closes)} bars are too few for {lags} lags: {MORE}")
    if not (np.isfinite(closes) & (closes > 0)).all():
        raise SystemExit("some prices are no numbers above 0: `mt5crs archive check` says which")
    returns = np.diff(np.log(closes))
    past = np.lib.stride_tricks.sliding_window_view(returns, lags)[:-1]
    following = returns[lags:]
    moved = following != 0
    return past[moved], (following[moved] > 0).astype(np.float64)


def train(inputs: Floats, rose: Floats) -> Floats:
    """Return the weights of a logistic regression, the last one for the constant; plain gradient descent."""
    weights = np.zeros(inputs.shape[1] + 1)
    with_constant = np.column_stack([inputs, np.ones(len(inputs))])
    for _ in range(STEPS):
        gradient = with_constant.T @ (chance(with_constant, weights) - rose) / len(rose) + SHRINK * weights
        weights -= RATE * gradient
    return weights


def chance(with_constant: Floats, weights: Floats) -> Floats:
    """Return how likely a rise is."""
    rises: Floats = 1.0 / (1.0 + np.exp(-np.clip(with_constant @ weights, -30, 30)))
    return rises


def score(closes: Floats, lags: int) -> Score:
    """Train on the first bars and score on the last; the scale, too, is learned of the first alone."""
    inputs, rose = samples(closes, lags)
    cut = int(len(rose) * (1 - TEST_SHARE))
    if cut < 1 or cut == len(rose):
        raise SystemExit(f"{len(rose)} bars that moved are too few: {MORE}")
    spread = inputs[:cut].std(axis=0)
    inputs = inputs / np.where(spread > 0, spread, 1.0)
    weights = train(inputs[:cut], rose[:cut])
    tested = rose[cut:]
    said = chance(np.column_stack([inputs[cut:], np.ones(len(tested))]), weights) > 0.5
    usual = float(rose[:cut].mean() > 0.5)
    right, usually = float(np.mean(said == tested)), float(np.mean(usual == tested))
    return Score(right, usually, float(np.sqrt(right * (1 - right) / len(tested))), cut, len(tested))


def main(arguments: list[str] | None = None) -> int:
    """Read, train, score, and say what came out."""
    parser = argparse.ArgumentParser(description="Train a small model on an archive.")
    parser.add_argument("archive", help="the archive's folder")
    parser.add_argument("symbol")
    parser.add_argument("--timeframe", default="M15", help="of the bars, made of the archive's M1 (M15)")
    parser.add_argument("--lags", type=int, default=8, help="returns that the model sees (8)")
    parser.add_argument("--start", help="server time from which on, such as 2020-01-01")
    parser.add_argument("--end", help="server time until which")
    given = parser.parse_args(arguments)
    if not 1 <= given.lags <= MOST_LAGS:
        parser.error(f"--lags is 1 to {MOST_LAGS}")
    try:
        minutes = scan(given.archive, given.symbol, "M1", given.start, given.end, as_="numpy")
        bars = resample(minutes, given.timeframe)
    except BridgeError as error:
        parser.error(str(error))
    print(f"{given.symbol}: {len(minutes):,} M1 bars, {len(bars):,} of {given.timeframe}")
    found = score(bars["close"], given.lags)
    print(f"trained on {found.trained:,} bars, scored on the {found.tested:,} after them")
    print(f"model    {found.model:.1%} right, standard error {found.error:.1%}")
    print(f"baseline {found.baseline:.1%} right")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
