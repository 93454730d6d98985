"""`rig evaluate`: how often is the right coin found, over the labelled photographs of the store?

The real figure, the figure on procedural coins, and the gap between them, always together; and one page with curves
and the worst cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.image import Image
from calibration.outline import crop_coin
from capture.store import Store
from capture.store.labels import Labels
from models.evaluation.evaluation import Evaluation, EvaluationError, evaluate
from models.evaluation.samples import Copy, Sample, leave_out_copies
from models.evaluation.verified import VerifiedEvaluation, evaluate_verified
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.learning.dataset import open_dataset
from pipeline.learning.synthetic import synthetic_samples
from pipeline.model_in_use import open_model
from pipeline.reporter import Reporter
from pipeline.reports.evaluation_page import write_evaluation_page
from pipeline.wording import count


@dataclass(frozen=True)
class Evaluated:
    """Both figures, on what the real one was measured, and the page; ``copies`` are images that were left out.

    ``verified`` are the figures with verification, where they were asked for.
    """

    real: Evaluation
    synthetic: Evaluation
    data: str
    page: Path
    copies: tuple[Copy, ...] = ()
    verified: VerifiedEvaluation | None = None

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md): the real figures, ``synthetic`` with the same keys, and ``gap`` in Rank-1."""
        return {
            **self.real.as_dict(),
            "data": self.data,
            "synthetic": self.synthetic.as_dict(),
            "gap": self.synthetic.rank1 - self.real.rank1,
            "page": str(self.page),
            "excluded": [copy.as_dict() for copy in self.copies],
            **({"verified": self.verified.as_dict()} if self.verified else {}),
        }


def evaluate_lab(
    lab: Lab, model: str, dataset: str | None, synthetic_coins: int, reporter: Reporter, verified: int = 0
) -> Evaluated:
    """Evaluate `model` on a dataset's test coins, or on every imported photograph that is not quarantined.

    Parameters
    ----------
    verified
        How many queries are identified with verification too.

    Raises
    ------
    LabError
        If nothing was imported, there is no such dataset, or too little is left without copies; or if queries are to be
        verified and the model has no fitted probability.
    """
    embedder = open_model(lab, model)
    if verified and "probability" not in embedder.card:
        raise LabError(f"{embedder.name} has no fitted probability, which verifying takes. Leave out --verified.")
    with _samples(lab, dataset) as (every, data):
        with reporter.progress("Looking for copies") as progress:
            samples, copies = leave_out_copies(every, progress)
        if copies:
            data += f", without {count(len(copies), 'copy', 'copies')}"
        try:
            with reporter.progress("Evaluating") as progress:
                real = evaluate(embedder, samples, on_progress=progress)
        except EvaluationError as error:
            if not copies:
                raise
            raise LabError(
                f"{error} {count(len(copies), 'image')} of {len(every)} were left out: they are copies of others, such "
                f"as {copies[0].name} of {copies[0].copy_of}."
            ) from error
        checked = None
        if verified:
            with reporter.progress("Verifying") as progress:
                checked = evaluate_verified(embedder, samples, verified, on_progress=progress)
        with reporter.progress("Evaluating on procedural coins") as progress:
            synthetic = evaluate(embedder, synthetic_samples(synthetic_coins), on_progress=progress)
        page = write_evaluation_page(lab, embedder, real, synthetic, data, samples)
    return Evaluated(real, synthetic, data, page, tuple(copies), checked)


def imported_samples(lab: Lab, store: Store, name: str | None = None) -> list[Sample]:
    """Every imported photograph that is not quarantined, of all imports or of one folder's; read when it is asked for.

    A frame's session is its placement. Obverse and reverse of a coin are found for themselves.
    """
    types, labels = store.coins.types(), Labels.read(store)
    samples = [
        Sample(
            name=f"{Path(frame.source or frame.id).as_posix()}",
            crop=_reader(store, frame.sha256),
            coin=f"{frame.coin_id} {frame.side or ''}".strip(),
            session=frame.placement,
            type=f"{types.get(frame.coin_id) or ''} {frame.side or ''}".strip(),
            specimen=frame.coin_id,
        )
        for session in store.sessions.find("import", name)
        for frame in labels.apply(store.frames.find(session.id))
    ]
    if not samples:
        raise LabError(
            f"{lab.folder} holds no labelled photographs to evaluate on. "
            f"Bring some in: `{lab.command('rig import DIR --labels CSV')}` (columns file, coin, type, session)."
        )
    return samples


@contextmanager
def _samples(lab: Lab, dataset: str | None) -> Iterator[tuple[list[Sample], str]]:
    """What is evaluated on, and what it is called; the store that crops are read from stays open meanwhile."""
    if dataset is not None:
        opened = open_dataset(lab, dataset)
        yield opened.samples("test"), f"test coins of {opened.title} ({opened.id})"
    else:
        with Store.open(lab.store) as store:
            yield imported_samples(lab, store), "imported photographs of the store"


def _reader(store: Store, sha256: str) -> Callable[[], Image]:
    def read() -> Image:
        image = store.image(sha256)
        return crop_coin(image)

    return read
