"""`rig evaluate`: how often is the right coin found, over the labelled photographs of the store?"""

from __future__ import annotations

from pathlib import Path

from calibration.outline import find_coin, normalise
from capture.store import Store
from models.embedder import Embedder
from models.evaluation import Evaluation, Sample, evaluate
from pipeline.catalogue import Progress
from pipeline.errors import LabError
from pipeline.lab import Lab


def evaluate_store(lab: Lab, model: str, progress: Progress) -> Evaluation:
    """Evaluate `model` on every imported photograph that is not quarantined; a frame's placement is its session.

    Raises
    ------
    LabError
        If nothing was imported.
    """
    with Store.open(lab.store) as store:
        types = store.coin_types()
        frames = [frame for session in store.sessions("import") for frame in store.frames(session.id)]
        if not frames:
            raise LabError(
                f"{lab.folder} holds no labelled photographs to evaluate on. "
                "Bring some in: `rig import DIR --labels CSV` (columns file, coin, type, session)."
            )
        samples = []
        for frame in frames:
            image = store.image(frame.sha256)
            samples.append(
                Sample(
                    name=f"{Path(frame.source or frame.id).as_posix()}",
                    crop=normalise(image, find_coin(image)),
                    coin=frame.coin_id,
                    session=frame.placement,
                    type=types.get(frame.coin_id) or "",
                )
            )
    return evaluate(Embedder.load(model), samples, on_progress=progress)
