"""The model in use: the one `--model` means by default, and how another takes its place."""

from __future__ import annotations

import json
from pathlib import Path

from calibration.durable_files import parse_json, write_atomically
from models.embedding.embedder import CARD_FILE, Embedder
from pipeline.errors import LabError
from pipeline.lab import IN_USE, Lab

FILE = "in-use.json"
STARTER = "starter"  # always the shipped one, even if a lab has trained a model of this name


def name_in_use(lab: Lab) -> str:
    """Name of the model in use: the starter that is shipped, until another is promoted."""
    path = lab.folder / "models" / FILE
    if not path.is_file():
        return STARTER
    try:
        name = parse_json(path.read_bytes())["model"]
        if isinstance(name, str):
            return name
    except OSError as error:
        raise LabError(f"{path} cannot be read: {error.strerror}. Check its owner and permissions.") from error
    except (ValueError, KeyError, TypeError):
        pass
    raise LabError(
        f"{path} is damaged: it does not name a model. Delete it, and the starter is in use again; then promote yours: "
        "`rig models promote NAME --force`."
    )


def open_model(lab: Lab | None, name: str) -> Embedder:
    """Load a model: the one in use, one of the lab's by its name, or whatever `Embedder.load` takes.

    Raises
    ------
    WeightsError
        If there is no such model.
    """
    if lab is None:
        return Embedder.load(STARTER if name == IN_USE else name)
    if name == IN_USE:
        name = name_in_use(lab)
    own = lab.folder / "models" / name
    return Embedder.load(own if name != STARTER and (own / CARD_FILE).is_file() else name)


def put_in_use(lab: Lab, name: str, model_id: str) -> None:
    """Make `--model` mean this one from now on; done at once or not at all."""
    path = lab.folder / "models" / FILE
    write_atomically(path, json.dumps({"model": name, "id": model_id}, indent=2) + "\n")


def trained_models(lab: Lab) -> list[Path]:
    """Folders of the lab's own models, by name; one named like the starter is not listed."""
    folder = lab.folder / "models"
    return sorted(path.parent for path in folder.glob(f"*/{CARD_FILE}") if path.parent.name != STARTER)
