"""What a scan does about what goes wrong when nobody is there: `policy:` of rig.yaml.

Nothing is tried without end. A coin is given up at the first shot after `coin_minutes`, or after `recoveries_per_coin`
recoveries, whichever is first, and is then put back, for which the rig is recovered as often again at most. A recovery
takes at most `attempts` pauses (2 + 4 + 8 s) and as many connections with homing, each as long as the drivers wait.
After `device_skips_in_a_row` such coins the tray is given up too. So a tray on which nothing succeeds any more ends
after::

    device_skips_in_a_row x (coin_minutes + recoveries_per_coin + 1 recoveries + putting back)

which is 2 x 30 minutes and some with the defaults; a rig that cannot be recovered at all ends it at once.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from capture.store.journal_lines import SkipReason

Then = Literal["skip coin", "skip tray", "stop"]


class Patience(BaseModel):
    """How often a rig that failed is connected and homed again before a person has to see to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attempts: int = Field(default=3, ge=0, le=10, description="in a row, until every device is connected and homed")
    pause_s: float = Field(
        default=2.0, ge=0, le=600, description="before the first of them; twice as long before each next"
    )


class Remedy(BaseModel):
    """How often something is tried again, and what is done then."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attempts: int = Field(default=1, ge=0, le=10, description="how often it is tried again")
    pause_s: float = Field(default=1.0, ge=0, le=600, description="before the first of them; twice as long each next")
    then: Then = Field(
        default="skip coin",
        description="`skip coin`: continue with the next; `skip tray`: begin no other coin of the tray; "
        "`stop`: end the scan as failed. The coin is put back in each case",
    )


class Policy(BaseModel):
    """What is done about each fault."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    empty_slot: Remedy = Field(default=Remedy(), description="suction finds no coin in a slot")
    wrong_coin: Remedy = Field(
        default=Remedy(), description="the coin does not look like earlier images of it, or has another diameter"
    )
    two_coins: Remedy = Field(default=Remedy(), description="more than one coin came out of a slot")
    compare_coins: bool = Field(
        default=True, description="coins are compared with earlier images of them; false after they were cleaned"
    )
    patience: Patience = Field(default=Patience(), description="how often a rig that failed is connected and homed")
    recoveries_per_coin: int = Field(
        default=5, ge=0, le=100, description="how often it is for one coin, before that coin is given up"
    )
    coin_minutes: float = Field(
        default=30.0, gt=0, le=600, description="how long one coin may take before it is given up"
    )
    device: Then = Field(default="skip coin", description="what giving a coin up means")
    device_skips_in_a_row: int = Field(
        default=2, ge=1, le=100, description="coins given up one after the other before the tray is"
    )

    def then_for(self, reason: SkipReason) -> Then:
        """What follows when a coin is passed over for this reason."""
        remedies = {"empty slot": self.empty_slot, "wrong coin": self.wrong_coin, "two coins": self.two_coins}
        return remedies[reason].then if reason in remedies else self.device
