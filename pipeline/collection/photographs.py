"""A photograph or catalogue image: how many coins it shows, which is meant, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.decoding import count_pages
from calibration.image import Image, ImageError, decode_image, read_image_bytes
from calibration.outline import NoCoinError, Outline, find_coins, normalise
from calibration.plates import count_page
from capture.names import printable
from capture.quality import check_photograph
from pipeline.reporter import Reporter
from pipeline.wording import count, describe_pages

ROW = 0.5  # radii that centres may differ by in height, in one row


@dataclass(frozen=True)
class SeenCoin:
    """The crop of one coin out of a photograph, where it is there, and which checks the photograph fails.

    ``pages`` is how many the file has: the first was read.
    """

    crop: Image
    outline: Outline
    fails: tuple[str, ...] = ()
    pages: int = 1


@dataclass(frozen=True)
class PhotographQuery:
    """Photographs to identify: each by itself, or all as one coin; ``coin`` is which of several in each of them."""

    paths: Sequence[Path]
    same_coin: bool = False
    coin: int | None = None


@dataclass(frozen=True)
class SeenPhotographs:
    """The coins of photographs that were asked about, and why the other photographs have no answer."""

    query: PhotographQuery
    coins: dict[Path, SeenCoin]
    errors: dict[Path, str]


def see_photographs(query: PhotographQuery, reporter: Reporter) -> SeenPhotographs:
    """Read photographs and find the coin in each: all that can be done, and go wrong, before a model is needed."""
    coins: dict[Path, SeenCoin] = {}
    errors: dict[Path, str] = {}
    with reporter.step(f"Looking for the coin in {count(len(query.paths), 'photograph')}"):
        for path in query.paths:
            try:
                coins[path] = see_coin(path, query.coin)
            except ImageError as error:
                errors[path] = printable(str(error))
    for path, seen in coins.items():
        if seen.pages > 1:
            reporter.warn(describe_pages(printable(str(path)), seen.pages))
    return SeenPhotographs(query, coins, errors)


def see_coin(path: Path, number: int | None = None) -> SeenCoin:
    """Read a photograph and cut the coin out that is meant.

    Parameters
    ----------
    number
        Which of several coins, counted from the upper left, row by row, from 1; None where there is but one.

    Raises
    ------
    ImageError
        If it cannot be read, shows no coin, or shows several and `number` does not name one.
    """
    data = read_image_bytes(path)
    image = decode_image(data, str(path))
    coins = coins_in_order(image, str(path))
    if number is None and len(coins) > 1:
        raise ImageError(
            f"{path} shows {len(coins)} coins. Say which one is meant with --coin 1 to --coin {len(coins)}, counted "
            "row by row from the upper left."
        )
    if number is not None and number > len(coins):
        raise ImageError(f"{path} shows {len(coins)} coin{'s' if len(coins) > 1 else ''}: there is no coin {number}.")
    chosen = coins[(number or 1) - 1]
    reasons = check_photograph(image).reasons if len(coins) == 1 else ()
    return SeenCoin(normalise(image, chosen), chosen, tuple(reasons), count_pages(data))


def require_one_coin(image: Image, name: str) -> None:
    """Refuse an image that shows no coin, or several; `name` is for the message.

    Raises
    ------
    ImageError
        If it does.
    """
    coins = coins_in_order(image, name)
    if len(coins) > 1:
        raise ImageError(f"{name} shows {len(coins)} coins. Cut it into images of one coin side each.")


def coins_in_order(image: Image, name: str) -> list[Outline]:
    """Every coin of an image, at least one, row by row from the upper left; `name` is for the message.

    Raises
    ------
    ImageError
        If it shows no coin, or so many that each is too small to be found.
    """
    coins = find_coins(image)
    on_page = count_page(image, coins)
    if on_page:
        raise ImageError(f"{name} shows about {on_page} coins. Crop it to one of them.")
    if not coins:
        raise NoCoinError(
            f"{name}: no coin was found in the image. One coin must lie whole in it, on a background that differs "
            "from it."
        )
    return _in_reading_order(coins)


def _in_reading_order(coins: list[Outline]) -> list[Outline]:
    """Coins row by row from the upper left."""
    rows: list[list[Outline]] = []
    for coin in sorted(coins, key=lambda coin: coin.centre_px[1]):
        if rows and coin.centre_px[1] - rows[-1][0].centre_px[1] < ROW * max(coin.radius_px, rows[-1][0].radius_px):
            rows[-1].append(coin)
        else:
            rows.append([coin])
    return [coin for row in rows for coin in sorted(row, key=lambda coin: coin.centre_px[0])]
