"""`rig weigh`: one coin on the balance, and its weight in the store."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from capture.store import Store
from capture.store.journal_lines import CoinWeighed
from pipeline.assembly import assemble, sole_driver
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.people import name_of_user
from pipeline.ports import require_devices
from pipeline.reporter import Reporter
from rig.registry import BALANCES

EMPTY_G = 0.01  # less is no coin
SAME_G, SAME_SHARE = 0.02, 0.01  # by which two weighings of one coin may differ: dirt, another balance


@dataclass(frozen=True)
class Weighed:
    """A coin that was weighed; ``before_g`` is what it weighed the last time, None if it never was."""

    coin: str
    grams: float
    is_stable: bool
    balance: str
    before_g: float | None

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "coin": self.coin,
            "weight_g": self.grams,
            "is_stable": self.is_stable,
            "balance": self.balance,
            "before_g": self.before_g,
        }


def weigh_coin(lab: Lab, coin: str, reporter: Reporter, *, keep_unstable: bool, realtime: bool) -> Weighed:
    """Zero the balance, weigh a coin, and write its weight to the journal.

    Raises
    ------
    UsageError
        If no coin of this name is known, or nobody sits at the keyboard.
    LabError
        If there is no balance, or the weight cannot be the coin's; nothing is stored then.
    DeviceError
        If the balance fails.
    """
    config = lab.rig.station.balance
    if config is None:
        raise LabError(
            f"{lab.folder / 'rig.yaml'} describes no balance. Add `balance: {{kind: sics, port: ...}}` under "
            "`station:` (docs/drivers.md has the kinds)."
        )
    require_devices(lab)
    with sole_driver(lab), Store.open(lab.store) as store:
        _check_known(lab, store, coin)
        rig = assemble(lab, realtime=realtime)
        balance = BALANCES.make(config, rig.clock)
        try:
            identity = balance.connect()
            if rig.world is not None:
                rig.world.lay_on_pan(None)
            else:
                reporter.ask("Take everything off the pan and shut the draught shield.")
            balance.zero()
            if rig.world is not None:
                rig.world.lay_on_pan(coin)
            else:
                reporter.ask(f"Lay coin {coin} on the pan and shut the draught shield.")
            weight = balance.weigh()
        finally:
            balance.close()
        if weight.grams < EMPTY_G:
            raise LabError(f"the balance shows {weight.grams:g} g. Lay the coin on its pan. Nothing was stored.")
        if not weight.is_stable and not keep_unstable:
            raise LabError(
                f"the balance shows {weight.grams:g} g and does not come to rest within {config.stable_s:g} s: a "
                "draught, or a table that trembles. Weigh again; --unstable keeps such a weight, marked. Nothing was "
                "stored."
            )
        before_g = store.coins.weight_g(coin)
        name = f"{identity.kind} on {identity.port}: {identity.firmware}"
        line = CoinWeighed(coin=coin, grams=weight.grams, is_stable=weight.is_stable, balance=name, who=name_of_user())
        store.journal.log(line)
    if before_g is not None and abs(before_g - weight.grams) > max(SAME_G, SAME_SHARE * before_g):
        reporter.warn(
            f"coin {coin} weighed {before_g:g} g before. Is it the same coin? The new weight counts from now on."
        )
    return Weighed(coin, weight.grams, weight.is_stable, name, before_g)


def _check_known(lab: Lab, store: Store, coin: str) -> None:
    known = {each.id for each in store.coins.all()}
    for path in (lab.folder / "trays").glob("*.yaml"):
        known |= set(lab.tray(path.stem).coins.values())
    if coin not in known:
        close = get_close_matches(coin, sorted(known), 3)
        like = f" Did you mean {', '.join(close)}?" if close else ""
        raise UsageError(f"no tray and no frame knows a coin {coin}.{like} Enter it in a tray file first.")
