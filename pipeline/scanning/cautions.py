"""What a scan would do as it is written, and what its author hardly meant: found before anything moves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from calibration.thickness import turns_suffice
from capture.plan import Plan, Tray
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.wording import count, duration
from rig.sides import EDGE

SHORTEST_US, LONGEST_US = 500, 2_000_000  # exposures that a lightbox and a camera on a bench have use for


def find_cautions(lab: Lab, tray: Tray, plan: Plan, coin_s: float, trays: Collection[str]) -> Iterator[str]:
    """A sentence or two for each thing to think about before this tray is scanned.

    Parameters
    ----------
    coin_s
        How long the longest coin takes, as estimated.
    trays
        Those that are to be scanned, this one included: see `find_coin_on_two_trays` for them.
    """
    yield from _exposure(lab, plan)
    yield from _edge(plan)
    yield from _patience(lab, coin_s)
    yield from _other_trays(lab, tray, trays)


def find_coin_on_two_trays(trays: Sequence[Tray]) -> Iterator[str]:
    """Coins that lie on two of the trays of one batch: frames of one of them would be filed under a wrong name."""
    where: dict[str, tuple[Tray, int]] = {}
    for tray in trays:
        for slot, coin in tray.coins.items():
            other, other_slot = where.setdefault(coin, (tray, slot))
            if other is not tray:
                yield (
                    f"Coin {coin} is on tray {other.id} (slot {other_slot}) and on tray {tray.id} (slot {slot}). A "
                    "coin lies in one place: correct one of the two files, or leave one tray out."
                )


def _exposure(lab: Lab, plan: Plan) -> Iterator[str]:
    odd = [each for each in plan.bracket_us or (plan.exposure_us,) if not SHORTEST_US <= each <= LONGEST_US]
    if not odd:
        return
    how = "short" if odd[0] < SHORTEST_US else "long"
    yield (
        f"Plan {plan.name}: exposure_us: {odd[0]} is {odd[0] / 1000:g} ms, which is very {how}. It "
        f"is given in microseconds: 20 ms is 20000. `{lab.command('rig snap')} x.png` takes an image to try it."
    )


def _edge(plan: Plan) -> Iterator[str]:
    if EDGE in plan.sides and not turns_suffice(plan.turntable_deg):
        yield (
            f"Plan {plan.name}: turntable_deg: the edge will not be seen from opposite sides, so that the thickness "
            "comes out less exact. Have the plate turned by half a turn too, such as [0, 90, 180, 270]."
        )


def _patience(lab: Lab, coin_s: float) -> Iterator[str]:
    minutes = lab.rig.policy.coin_minutes
    if coin_s > 60 * minutes:
        yield (
            f"A coin takes about {duration(coin_s)}, and is given up after {minutes:g} min. Raise `policy: "
            "coin_minutes:` in rig.yaml, or take fewer shots of each."
        )


def _other_trays(lab: Lab, tray: Tray, trays: Collection[str]) -> Iterator[str]:
    """Other tray files that list coins of this one, as a file does that was copied and not changed."""
    for path in sorted((lab.folder / "trays").glob("*.yaml")):
        if path.stem in trays:
            continue
        try:
            listed = set(lab.tray(path.stem).coins.values())
        except LabError:
            continue  # it has not its turn yet, and is complained of then
        both = [coin for coin in tray.coins.values() if coin in listed]
        if not both:
            continue
        named = ", ".join(both[:3]) + (", ..." if len(both) > 3 else "")
        what = f"Coin {named} is" if len(both) == 1 else f"{count(len(both), 'coin')} ({named}) are"
        copy = " Was the file copied, and not changed?" if len(both) == len(tray.coins) > 1 else ""
        yield (
            f"{what} on tray {tray.id} and on tray {path.stem}, by their files.{copy} A coin lies in one place: "
            f"correct {path}, or {lab.folder / 'trays' / tray.id}.yaml."
        )
