"""Commands for those who train, judge and explain models: train, tune, evaluate, explain, types."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import DONE, DebugOption, JsonOption, LabOption, ModelOption, SideName
from pipeline.commands.terminal.learning import (
    print_evaluated,
    print_explained,
    print_low_data,
    print_suite,
    print_trained,
    print_tuned,
)
from pipeline.commands.terminal.output import print_result, reporter
from pipeline.errors import UsageError
from pipeline.lab import IN_USE, open_lab, open_lab_if_any

app = typer.Typer()
PANEL = "Models"


class MethodName(StrEnum):
    """How similarity is explained; see `models.explanation`."""

    CELLS = "cells"
    GRADCAM = "gradcam"
    ATTENTION = "attention"
    OCCLUSION = "occlusion"


class SuiteName(StrEnum):
    """A published table; see `pipeline.learning.suites`."""

    POSTER = "poster"
    RRC60 = "rrc60"


class TuningName(StrEnum):
    """How much of a network is tuned; see `models.classification.heads`."""

    BASELINE = "baseline"
    PARTIAL = "partial"
    FULL = "full"


@app.command(rich_help_panel=PANEL, epilog="Example: `rig train recipe.yaml`, a file like models/recipes/starter.yaml.")
def train(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="A YAML file; without it, the starter's recipe.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="Train on this dataset too (`rig dataset build`).")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The model's name; without it, the recipe's.")] = None,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Train an embedder by a recipe, and calibrate its probability. If interrupted, run the same command to resume."""
    from pipeline.learning.train import train_embedder

    trained = train_embedder(open_lab(lab), config, reporter, dataset=dataset, name=name)
    if trained is not None:
        print_result(trained, print_trained, json=json)
    return DONE


@app.command(rich_help_panel=PANEL, epilog="Example: `rig tune recipe.yaml --trials 40`, a recipe with `real:` coins.")
def tune(
    config: Annotated[Path | None, typer.Argument(metavar="[CONFIG]", help="A recipe as `rig train` takes it.")] = None,
    trials: Annotated[int, typer.Option(min=1, help="How many trials in all, earlier ones included.")] = 40,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each training.")] = 100,
    dataset: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="Train on this dataset, judge by its validation coins.")
    ] = None,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Search for the augmentation that finds real coins best. If interrupted, run the same command to resume."""
    from pipeline.learning.tune import tune_augmentation

    tuned = tune_augmentation(open_lab(lab), config, reporter, trials=trials, steps=steps, dataset=dataset)
    print_result(tuned, print_tuned, json=json)
    return DONE


@app.command(rich_help_panel=PANEL, epilog="Example: `rig evaluate --dataset euro`, or `rig evaluate --suite poster`")
def evaluate(
    model: ModelOption = IN_USE,
    dataset: Annotated[
        str | None, typer.Option(metavar="NAME", help="The test coins of this dataset; without it, all imports.")
    ] = None,
    suite: Annotated[
        SuiteName | None, typer.Option(help="A published table instead, with our figure or what each row needs.")
    ] = None,
    synthetic: Annotated[
        int, typer.Option(min=2, max=2000, metavar="COINS", help="How many procedural coins to evaluate on as well.")
    ] = 24,
    verified: Annotated[
        int,
        typer.Option(min=0, metavar="QUERIES", help="Identify so many with verification too, at two seconds each."),
    ] = 0,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """How often is the right coin found, across sessions? The real figure, the synthetic one, and the gap."""
    opened = open_lab(lab)
    if suite is not None:
        from pipeline.learning.suites import run_suite

        print_result(run_suite(opened, suite.value, reporter), print_suite, json=json)
        return DONE
    from pipeline.learning.evaluate import evaluate_lab

    print_result(evaluate_lab(opened, model, dataset, synthetic, reporter, verified), print_evaluated, json=json)
    return DONE


@app.command(rich_help_panel=PANEL, epilog="Example: `rig explain photo.jpg plate.jpg --out why.png`")
def explain(
    first: Annotated[str, typer.Argument(metavar="A", help="A photograph, or the id of a catalogue entry.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    method: Annotated[
        MethodName, typer.Option(help="`cells` is exact; the others are for comparison.")
    ] = MethodName.CELLS,
    side: Annotated[
        SideName | None, typer.Option(help="Which side is meant, where both images may show either.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to draw it.")] = Path("explanation.png"),
    model: ModelOption = IN_USE,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Show what makes two coins similar: both above, and below them their evidence, red the strongest.

    A file called COIN_obv or COIN_rev shows that side; one with two coins beside each other shows the obverse on the
    left and the reverse on the right. Obverses are compared with obverses.
    """
    from pipeline.learning.explain import Pair, explain_pair

    pair = Pair(first, second, side.value if side else None)
    explained = explain_pair(open_lab_if_any(lab), pair, model, method.value, out)
    print_result(explained, print_explained, json=json)
    return DONE


@app.command(
    "types",
    rich_help_panel=PANEL,
    epilog="Example: `rig types --network resnet18 --tuning baseline --shares 0.8,0.2,0.1,0.05`",
)
def types_(
    network: Annotated[
        str, typer.Option(help="vit_b_16, inception_v3, inception_v3_se, or a smaller one such as resnet18.")
    ] = "vit_b_16",
    tuning: Annotated[
        TuningName, typer.Option(help="The head alone, the last stages too, or everything.")
    ] = TuningName.FULL,
    shares: Annotated[str, typer.Option(help="Shares of the training coins to learn from.")] = "0.8,0.2,0.1,0.05",
    dataset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Types of this dataset's coins; without it, generated ones.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Training steps for each share.")] = 400,
    image_px: Annotated[
        int, typer.Option("--image-px", "--picture-px", min=32, max=224, help="Width of the images; ViT takes 224.")
    ] = 224,
    types: Annotated[int, typer.Option(min=2, max=60, help="How many generated types.")] = 12,
    coins: Annotated[int, typer.Option(min=5, help="Generated coins of each type; one in five tests.")] = 25,
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="Start from random weights.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """How well are types recognised, depending on how many coins they are learnt from?"""
    from models.classification.classification import ClassificationConfig
    from models.embedding.backbones import CROP_PX
    from pipeline.learning.low_data import GeneratedTypes, measure_low_data

    if network.startswith("vit") and image_px != CROP_PX:
        raise UsageError(f"--image-px: {network} takes images of {CROP_PX} only.")
    config = ClassificationConfig(
        network=network,
        tuning=tuning.value,
        steps=steps,
        picture_px=image_px,
        pretrained=not from_scratch,
    )
    data = dataset or GeneratedTypes(types, coins)
    curve = measure_low_data(open_lab(lab), data, config, _parse_shares(shares), reporter)
    print_result(curve, print_low_data, json=json)
    return DONE


def _parse_shares(text: str) -> list[float]:
    try:
        shares = [float(share) for share in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--shares: {text!r} is no list of numbers. Write it like 0.8,0.2,0.05.") from error
    if not all(0.0 < share <= 1.0 for share in shares):
        raise UsageError(f"--shares: {text!r} holds a number that is no share. Each must be above 0 and at most 1.")
    return shares
