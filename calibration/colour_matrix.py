"""From the light of one lamp to true colours: the matrix that a bundle keeps for each light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from calibration.response import LUMINANCE

Model = Literal["linear", "root-polynomial"]
Light = npt.NDArray[np.float32]

TERMS: dict[Model, int] = {"linear": 3, "root-polynomial": 6}


@dataclass(frozen=True, eq=False)
class ColourMatrix:
    """From light, white balance not yet taken out, to linear sRGB; grey keeps its brightness.

    Attributes
    ----------
    model
        ``linear``, or ``root-polynomial`` with the roots of the products red x green, green x blue, red x blue.
    matrix
        (T, 3) from the terms of the light, 3 or 6 of them.
    ciede2000_mean
        Colour difference left at the chart's patches, on average; None if it is not known.
    """

    model: Model
    matrix: npt.NDArray[np.float64]
    ciede2000_mean: float | None = None

    @classmethod
    def of_balanced(
        cls, model: Model, white_balance: npt.NDArray[np.float64], matrix: npt.NDArray[np.float64], mean: float | None
    ) -> ColourMatrix:
        """One that takes in the white balance (3,) that `matrix` expects to have been applied."""
        red, green, blue = white_balance
        factors = np.array([red, green, blue, np.sqrt(red * green), np.sqrt(green * blue), np.sqrt(red * blue)])
        grey = float(matrix.sum(axis=0) @ LUMINANCE)  # of a balanced white, whose terms are all 1
        return cls(model, factors[: len(matrix), None] * matrix / grey, mean)

    @classmethod
    def of_facts(cls, facts: dict[str, Any]) -> ColourMatrix:
        """Read what `facts` gave.

        Raises
        ------
        ValueError, KeyError, TypeError
            If that is none.
        """
        matrix = np.array(facts["matrix"], np.float64).reshape(TERMS[facts["model"]], 3)
        if not np.isfinite(matrix).all():
            raise ValueError("no numbers")
        mean = facts.get("ciede2000_mean")
        return cls(facts["model"], matrix, None if mean is None else float(mean))

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "model": self.model,
            "matrix": [[float(value) for value in row] for row in self.matrix],
            "ciede2000_mean": self.ciede2000_mean,
        }

    def apply(self, light: Light) -> Light:
        """Linear sRGB of light (H, W, 3), neither clipped.

        Plane by plane, a product and a sum at a time: each is rounded as IEEE 754 says. `cv2.transform` rounds the last
        columns of a row otherwise than the rest, and so depends on where a part begins and on the processor.
        """
        terms = list(cv2.split(light))
        if self.model == "root-polynomial":
            red, green, blue = (cv2.max(plane, 0.0) for plane in terms)  # type: ignore[call-overload]
            terms += [cv2.sqrt(cv2.multiply(*pair)) for pair in ((red, green), (green, blue), (red, blue))]
        return np.asarray(cv2.merge([_sum(terms, weights) for weights in self.matrix.T.astype(np.float32)]), np.float32)


def _sum(planes: Sequence[Any], weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    total = planes[0] * weights[0]
    for plane, weight in zip(planes[1:], weights[1:], strict=True):
        total += plane * weight
    return np.asarray(total, np.float32)
