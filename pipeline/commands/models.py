"""Commands for those who train, judge and explain models; see `pipeline.cli`."""

from __future__ import annotations

import json as json_module
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands import answers, models_answers
from pipeline.errors import UsageError
from pipeline.lab import lab_folder, open_lab, open_lab_if_any
from pipeline.options import DONE, FAILED, IN_USE, LEFT_OVER, DebugOption, JsonOption, LabOption, ModelOption

app = typer.Typer()
dataset_app = typer.Typer(no_args_is_help=True, help="Frozen sets of crops, split by coin, that models are made of.")
models_app = typer.Typer(no_args_is_help=True, help="Which models there are, which is better, and which is in use.")
MODELS = "Models"
app.add_typer(dataset_app, name="dataset", rich_help_panel=MODELS)
app.add_typer(models_app, name="models", rich_help_panel=MODELS)


class MethodName(StrEnum):
    """How likeness is explained; see `models.matching.explanation`."""

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


@app.command(rich_help_panel=MODELS, epilog="Example: `rig evaluate --dataset euro`, or `rig evaluate --suite poster`")
def evaluate(
    model: ModelOption = IN_USE,
    dataset: Annotated[
        str | None, typer.Option(metavar="NAME", help="The test coins of this dataset; without it, all imports.")
    ] = None,
    suite: Annotated[
        SuiteName | None, typer.Option(help="A published table instead, with our figure or what each row needs.")
    ] = None,
    synthetic: Annotated[
        int, typer.Option(min=2, max=2000, metavar="COINS", help="How many procedural coins to judge on beside.")
    ] = 24,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """How often is the right coin found, across sessions? The real figure, the synthetic one, and the gap."""
    opened = open_lab(lab_folder(lab))
    if suite is not None:
        from pipeline.learning.suites import run_suite

        models_answers.suite(run_suite(opened, suite.value, answers.progress), json)
        return DONE
    from pipeline.learning.evaluate import evaluate_lab

    bars = answers.progress("Evaluating"), answers.progress("Procedural coins")
    models_answers.evaluated(evaluate_lab(opened, model, dataset, synthetic, *bars), json)
    return DONE


@app.command(rich_help_panel=MODELS, epilog="Example: `rig explain photo.jpg plate.jpg --out why.png`")
def explain(
    first: Annotated[str, typer.Argument(metavar="A", help="A photograph, or the id of a catalogue entry.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    method: Annotated[
        MethodName, typer.Option(help="`cells` is exact; the others are for comparison.")
    ] = MethodName.CELLS,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to draw it.")] = Path("explanation.png"),
    model: ModelOption = IN_USE,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Show what makes two coins alike: both above, and below under their evidence, red the strongest."""
    from pipeline.learning.explain import explain_pair

    explained = explain_pair(open_lab_if_any(lab), first, second, model, method.value, out)
    models_answers.explained(explained, json)
    return DONE


@app.command(
    "types",
    rich_help_panel=MODELS,
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
    picture_px: Annotated[int, typer.Option(min=32, max=224, help="Width of the pictures; ViT takes 224.")] = 224,
    types: Annotated[int, typer.Option(min=2, max=60, help="How many generated types.")] = 12,
    coins: Annotated[int, typer.Option(min=5, help="Generated coins of each type; one in five tests.")] = 25,
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="Start from random weights.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """How well are types told apart, by how few coins they are learnt from?"""
    from models.classification.classification import ClassificationConfig
    from models.embedding.backbones import CROP_PX
    from pipeline.learning.low_data import low_data

    try:
        wanted = [float(share) for share in shares.split(",")]
    except ValueError as error:
        raise UsageError(f"--shares: {shares!r} is no list of numbers. Write it like 0.8,0.2,0.05.") from error
    if not all(0.0 < share <= 1.0 for share in wanted):
        raise UsageError(f"--shares: {shares!r} holds a number that is no share. Each must be above 0 and at most 1.")
    if network.startswith("vit") and picture_px != CROP_PX:
        raise UsageError(f"--picture-px: {network} takes pictures of {CROP_PX} only.")
    config = ClassificationConfig(
        network=network,
        tuning=tuning.value,
        steps=steps,
        picture_px=picture_px,
        pretrained=not from_scratch,
    )
    bar = answers.progress("Drawing coins")
    path = low_data(
        open_lab(lab_folder(lab)),
        dataset,
        config,
        wanted,
        types=types,
        coins=coins,
        drawing=bar,
        on_point=models_answers.point,
    )
    models_answers.low_data(path, json_module.loads(path.read_text())["points"], json)
    return DONE


@app.command(rich_help_panel=MODELS, epilog="Example: `rig tune recipe.yaml --trials 40`, a recipe with `real:` coins.")
def tune(
    config: Annotated[Path | None, typer.Argument(metavar="[CONFIG]", help="A recipe as `rig train` takes it.")] = None,
    trials: Annotated[
        int, typer.Option(min=1, help="How many there shall be in all, those of before counted in.")
    ] = 40,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each training.")] = 100,
    dataset: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="Train on this dataset, judge by its validation coins.")
    ] = None,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Search the augmentation that finds real coins best, by short trainings. Broken off, the same command goes on."""
    from pipeline.learning.tune import tune

    drawing, on_trial = answers.progress("Drawing coins"), models_answers.trial(trials)
    opened = open_lab(lab_folder(lab))
    models_answers.tuned(
        tune(opened, config, trials=trials, steps=steps, dataset=dataset, drawing=drawing, on_trial=on_trial), json
    )
    return DONE


@dataset_app.command("build", epilog="Example: `rig dataset build euro`")
def dataset_build(
    name: Annotated[str, typer.Argument(help="Its name; building again after new frames came makes the next version.")],
    test: Annotated[
        float | None,
        typer.Option(min=0.01, max=0.9, help="Share of the coins that only judge, in the first version; else 0.2."),
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(min=0.0, max=0.9, help="Share of the coins that choose; else as in the version before, or 0.1."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Which coins fall where; else as in the version before, or 0.")
    ] = None,
    together: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Columns coin and group: die-mates and the like, to be kept on one side."),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option("--from", metavar="MANIFEST", help="Make the files of this manifest.json again, to the byte."),
    ] = None,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Make a dataset of all good frames, scanned and imported. Its test coins stay what they are in every version."""
    from pipeline.learning.dataset import rebuild_dataset
    from pipeline.learning.dataset_build import build_dataset

    opened, bar = open_lab(lab_folder(lab)), answers.progress("Cutting coins out")
    if manifest is not None:
        models_answers.dataset_rebuilt(rebuild_dataset(opened, manifest, bar), json)
        return DONE
    built = build_dataset(opened, name, bar, test=test, validation=validation, seed=seed, together=together)
    models_answers.dataset_built(built, json)
    return DONE


@models_app.command("list", epilog="Example: `rig models list`")
def models_list(lab: LabOption = None, json: JsonOption = False, debug: DebugOption = False) -> int:
    """List the models of the lab: what they were made of, what they reach, and which is in use."""
    from pipeline.learning.listing import list_models

    models_answers.models(list_models(open_lab(lab_folder(lab))), json)
    return DONE


@models_app.command("compare", epilog="Example: `rig models compare starter round2 --dataset euro`")
def models_compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A model, such as the one in use.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The model that may be better.")],
    dataset: Annotated[str, typer.Option(metavar="NAME", help="Whose frozen test coins judge.")],
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Which of two models finds more of the test coins? The difference with its interval over coins."""
    from pipeline.learning.compare import compare_models

    opened = open_lab(lab_folder(lab))
    models_answers.compared(compare_models(opened, first, second, dataset, answers.progress("Comparing")), json)
    return DONE


@models_app.command("promote", epilog="Example: `rig models promote round2 --dataset euro`")
def models_promote(
    model: Annotated[str, typer.Argument(help="A model of the lab, or `starter`.")],
    dataset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose frozen test coins judge it against the one in use.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Put it in use even so; the journal keeps that.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Put a model in use if it is surely better. The catalogue is embedded by it first; then it changes at once."""
    from pipeline.learning.compare import promote_model

    bars = answers.progress("Comparing"), answers.progress("Embedding the catalogue")
    promotion = promote_model(open_lab(lab_folder(lab)), model, dataset, *bars, force=force)
    models_answers.promoted(promotion, json)
    return DONE if promotion.is_promoted else FAILED


@models_app.command("improve", epilog="Example: `rig models improve euro --recipe recipe.yaml`")
def models_improve(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="Which dataset grows and judges.")],
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="As `rig train` takes it; without it, the starter's.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what there is to do; change nothing.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """One round of the loop: build the dataset's next version of new frames, train on it, promote if surely better.

    Broken off, the same command goes on. Exit codes: 0 promoted, or nothing new; 3 the new model was refused, and the
    one in use stays.
    """
    from pipeline.learning.rounds import Watch, improve, outlook

    opened = open_lab(lab_folder(lab))
    if dry_run:
        models_answers.round_ahead(outlook(opened, name), json)
        return DONE
    watch = Watch(
        tell=answers.told,
        building=answers.progress("Cutting coins out"),
        drawing=answers.progress("Drawing coins"),
        training=answers.training(),
        fitting=answers.progress("Fitting the probability"),
        comparing=answers.progress("Comparing"),
        embedding=answers.progress("Embedding the catalogue"),
    )
    judged = improve(opened, name, recipe, watch)
    models_answers.round_over(name, judged, json)
    return DONE if judged is None or judged.promoted else LEFT_OVER


@models_app.command("rounds", epilog="Example: `rig models rounds euro`")
def models_rounds(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="On whose test coins was judged.")],
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """What each round came to: Rank-1 on the test coins of the model in use and of the new one; with a plot."""
    from pipeline.learning.rounds import draw_rounds, rounds

    opened = open_lab(lab_folder(lab))
    judged = rounds(opened, name)
    models_answers.rounds(judged, draw_rounds(opened, name, judged) if judged else None, json)
    return DONE
