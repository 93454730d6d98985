"""How well one coin is set apart from another of its die, and of its type, by one photograph each: docs/results.md.

    python -m tests.bench.die_mates --folder /tmp/mates [--dies 20] [--seed 9041]

Made coins of dies that nothing was fitted on, six of each and two of another die of the type, each photographed by hand
under a lamp anywhere or printed. What is compared is kept; the shipped verifier judges it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from models.matching.registration import NOT_REGISTERED
from models.matching.relation import SideComparison
from models.matching.verification import shipped_verification
from pipeline.commands.terminal.output import reporter
from pipeline.learning.coin_pairs import PAIRS_SEED, Mint, made_pairs
from pipeline.learning.coin_searches import SEARCHES_SEED


def main() -> None:
    """Make what is not there yet; then judge."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--dies", type=int, default=20)
    parser.add_argument("--seed", type=int, default=9041)
    options = parser.parse_args()
    if options.seed in (PAIRS_SEED, SEARCHES_SEED):
        parser.error("the shipped verifier was fitted on coins of this seed.")
    with reporter.progress("Comparing made coins") as progress:
        units = made_pairs(options.dies, options.folder, progress, Mint(options.seed, of_die=6))
    verifier = shipped_verification().verifier
    ratios: dict[str, list[float]] = {}
    for unit in units:
        for pair in unit.pairs:
            compared = SideComparison(NOT_REGISTERED, verifier.likelihoods(pair.overlay))
            ratios.setdefault(pair.relation, []).append(compared.log_ratio)
    own = np.array(ratios["same coin"])
    print(f"{len(own)} pairs of one coin: {(own < 0).mean():.1%} taken for two")
    for relation in ("same die", "same type"):
        others = np.array(ratios[relation])
        limits = np.sort(np.concatenate([own, others]))
        equal = min(max(float((own < limit).mean()), float((others >= limit).mean())) for limit in limits)
        print(f"{len(others)} of {relation}: {(others >= 0).mean():.1%} taken for one; equal errors {equal:.1%}")


if __name__ == "__main__":
    main()
