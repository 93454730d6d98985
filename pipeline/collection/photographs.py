"""A photograph or catalogue image: how many coins it shows, which are meant, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.decoding import count_pages
from calibration.every_coin import Box, ShownCoin, find_every_coin
from calibration.image import Image, ImageError, decode_image, read_image_bytes
from calibration.outline import NoCoinError
from capture.names import printable
from capture.quality import MIN_PHOTOGRAPH_RADIUS_PX, check_photograph
from capture.store.quarantine import QuarantineReason
from pipeline.reporter import Reporter
from pipeline.wording import count, describe_pages

SIDES_OF_A_COIN = 2


@dataclass(frozen=True)
class SeenCoin:
    """One coin out of a photograph.

    Attributes
    ----------
    crop
        The coin alone, as it is compared.
    centre_px, radius_px
        Where it is in the photograph.
    number, box
        Which of several coins it is, from 1, and its box (left, top, right, bottom); None where the photograph shows
        but one.
    fails
        Checks that it fails.
    """

    path: Path
    crop: Image
    centre_px: tuple[float, float]
    radius_px: float
    number: int | None = None
    box: Box | None = None
    fails: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called in answers."""
        return printable(str(self.path)) + self._which

    @property
    def caption(self) -> str:
        """The same without the folder."""
        return printable(self.path.name) + self._which

    @property
    def _which(self) -> str:
        return f", coin {self.number}" if self.number else ""


@dataclass(frozen=True)
class PhotographQuery:
    """Photographs to identify: each coin by itself, or all as one; ``coin`` is which of several in each of them."""

    paths: Sequence[Path]
    same_coin: bool = False
    coin: int | None = None


@dataclass(frozen=True)
class SeenPhotographs:
    """The coins of photographs that were asked about, and why the other photographs have no answer."""

    query: PhotographQuery
    coins: dict[Path, tuple[SeenCoin, ...]]
    errors: dict[Path, str]


def see_photographs(query: PhotographQuery, reporter: Reporter) -> SeenPhotographs:
    """Read photographs and find the coins in each: all that can be done, and go wrong, before a model is needed."""
    coins: dict[Path, tuple[SeenCoin, ...]] = {}
    errors: dict[Path, str] = {}
    with reporter.step(f"Looking for the coin in {count(len(query.paths), 'photograph')}"):
        for path in query.paths:
            try:
                data = read_image_bytes(path)
                coins[path] = _see(path, decode_image(data, str(path)), query)
                pages = count_pages(data)
                if pages > 1:
                    reporter.warn(describe_pages(printable(str(path)), pages))
            except ImageError as error:
                errors[path] = printable(str(error))
    return SeenPhotographs(query, coins, errors)


def _see(path: Path, image: Image, query: PhotographQuery) -> tuple[SeenCoin, ...]:
    """The coins of an image that are meant; ImageError if there is none, or nobody can say which."""
    shown = coins_in_order(image, str(path))
    if query.coin is not None:
        if query.coin > len(shown):
            raise ImageError(f"{path} shows {count(len(shown), 'coin')}: there is no coin {query.coin}.")
    elif query.same_coin and len(shown) > SIDES_OF_A_COIN:
        raise ImageError(
            f"{path} shows {len(shown)} coins, and a coin has two sides. Say which one is meant with --coin 1 to "
            f"--coin {len(shown)}, counted row by row from the upper left."
        )
    if len(shown) == 1:
        (only,) = shown
        reasons = check_photograph(image).reasons
        return (SeenCoin(path, only.crop(), only.centre_px, only.outline.radius_px, fails=tuple(reasons)),)
    return tuple(
        SeenCoin(path, coin.crop(), coin.centre_px, coin.outline.radius_px, number, coin.box, _fails(coin))
        for number, coin in enumerate(shown, 1)
        if query.coin in (None, number)
    )


def _fails(coin: ShownCoin) -> tuple[str, ...]:
    return (*coin.doubts, *((QuarantineReason.TOO_SMALL,) if coin.outline.radius_px < MIN_PHOTOGRAPH_RADIUS_PX else ()))


def require_one_coin(image: Image, name: str) -> None:
    """Refuse an image that shows no coin, or several; `name` is for the message.

    Raises
    ------
    ImageError
        If it does.
    """
    coins = coins_in_order(image, name)
    if len(coins) > 1:
        raise ImageError(
            f"{name} shows {len(coins)} coins. Cut it into images of one coin side each, or add it as a page: --pages."
        )


def coins_in_order(image: Image, name: str) -> list[ShownCoin]:
    """Every coin of an image, at least one, row by row from the upper left; `name` is for the message.

    Raises
    ------
    ImageError
        If it shows no coin.
    """
    coins = find_every_coin(image)
    if not coins:
        raise NoCoinError(
            f"{name}: no coin was found in the image. One coin must lie whole in it, on a background that differs "
            "from it."
        )
    return coins
