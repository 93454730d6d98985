"""The commands `rig dataset ...` and `rig models ...`: from reviewed frames to a better model in use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import DONE, FAILED, LEFT_OVER, DebugOption, JsonOption, LabOption
from pipeline.commands.terminal.models import (
    print_comparison,
    print_dataset,
    print_models,
    print_planned_round,
    print_promotion,
    print_round,
    print_rounds,
    print_verifier,
)
from pipeline.commands.terminal.output import print_result, reporter
from pipeline.lab import open_lab

dataset_app = typer.Typer(no_args_is_help=True, help="Frozen sets of crops, split by coin, to train and test on.")
app = typer.Typer(no_args_is_help=True, help="Which models there are, which is better, and which is in use.")


@dataset_app.command("build", epilog="Example: `rig dataset build euro`")
def dataset_build(
    name: Annotated[str, typer.Argument(help="Its name; building again after new frames came makes the next version.")],
    test: Annotated[
        float | None,
        typer.Option(min=0.01, max=0.9, help="Share of the coins that only test, in the first version; else 0.2."),
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(min=0.0, max=0.9, help="Share of the coins that validate; else as in the version before, or 0.1."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Which coins fall where; else as in the version before, or 0.")
    ] = None,
    together: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Columns coin and group: die-mates and the like, to be kept in one part."),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option("--from", metavar="MANIFEST", help="Make the files of this manifest.json again, to the byte."),
    ] = None,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Make a dataset of all good frames, scanned and imported. Its test coins stay the same in every version."""
    from pipeline.learning.dataset import rebuild_dataset
    from pipeline.learning.dataset_build import Division, build_dataset

    opened = open_lab(lab)
    if manifest is not None:
        print_result(rebuild_dataset(opened, manifest, reporter), print_dataset, json=json)
        return DONE
    division = Division(test=test, validation=validation, seed=seed, together=together)
    print_result(build_dataset(opened, name, reporter, division), print_dataset, json=json)
    return DONE


@app.command("list", epilog="Example: `rig models list`")
def list_(lab: LabOption = None, json: JsonOption = False, debug: DebugOption = False) -> int:
    """List the models of the lab: what they were made of, what they reach, and which is in use."""
    from pipeline.learning.listing import list_models

    print_result(list_models(open_lab(lab)), print_models, json=json)
    return DONE


@app.command(epilog="Example: `rig models compare starter round2 --dataset euro`")
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A model, such as the one in use.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The model that may be better.")],
    dataset: Annotated[str, typer.Option(metavar="NAME", help="Whose frozen test coins judge.")],
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Which of two models finds more of the test coins? The difference with its interval over coins."""
    from pipeline.learning.compare import compare_models

    print_result(compare_models(open_lab(lab), first, second, dataset, reporter), print_comparison, json=json)
    return DONE


@app.command(epilog="Example: `rig models promote round2 --dataset euro`")
def promote(
    model: Annotated[str, typer.Argument(help="A model of the lab, or `starter`.")],
    dataset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose frozen test coins compare it with the one in use.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Put it in use even so; the journal records that.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Put a model in use if it is significantly better. The catalogue is embedded with it first; then it takes over."""
    from pipeline.learning.compare import promote_model

    promotion = promote_model(open_lab(lab), model, dataset, reporter, force=force)
    print_result(promotion, print_promotion, json=json)
    return DONE if promotion.is_promoted else FAILED


@app.command(epilog="Example: `rig models improve euro --recipe recipe.yaml`")
def improve(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="Which dataset grows and judges.")],
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="As `rig train` takes it; without it, the starter's.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what there is to do; change nothing.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """One round of the loop: build the dataset's next version from new frames, train on it, promote if better.

    If interrupted, run the same command again to resume. Exit codes: 0 promoted, or nothing new; 3 the new model was
    refused, and the one in use stays.
    """
    from pipeline.learning.rounds import improve_model, plan_round

    opened = open_lab(lab)
    if dry_run:
        print_result(plan_round(opened, name), print_planned_round, json=json)
        return DONE
    finished = improve_model(opened, name, recipe, reporter)
    print_result(finished, print_round, json=json)
    return LEFT_OVER if finished.is_refused else DONE


@app.command(epilog="Example: `rig models rounds euro`")
def rounds(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="Whose test coins judged.")],
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """What each round came to: Rank-1 on the test coins of the model in use and of the new one; with a plot."""
    from pipeline.learning.rounds import draw_rounds

    print_result(draw_rounds(open_lab(lab), name), print_rounds, json=json)
    return DONE


@app.command(epilog="Example: `rig models verifier fitted --photographs coins`")
def verifier(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write it; there must be no card in it.")],
    photographs: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Photographs of real coins, one of each side, as for `rig init --coins`."),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Real coins photographed again, as for `rig import`: three in five are used."),
    ] = None,
    dies: Annotated[int, typer.Option(min=2, help="Dies of made coins that are compared.")] = 48,
    coins: Annotated[int, typer.Option(min=2, help="Made coins that are searched for.")] = 20,
    sides: Annotated[int, typer.Option(min=1, help="Photographs that are lit again, drawn at random.")] = 140,
    labelled: Annotated[int, typer.Option(min=1, help="Labelled photographs that are searched for.")] = 460,
    steps: Annotated[int, typer.Option(min=1, help="Of training the network.")] = 2000,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Fit again what tells one coin from two of one die, and how much that counts; for those who develop coinlab.

    It takes two hours; what was compared is kept, and the same command resumes. It takes effect where models/verifier
    of the source is.
    """
    from pipeline.learning.verifier import Amounts, fit_verifier

    amounts = Amounts(dies, coins, sides, labelled, steps)
    print_result(fit_verifier(folder, photographs, labels, amounts, reporter), print_verifier, json=json)
    return DONE
