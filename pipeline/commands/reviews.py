"""The commands by which a person decides: label, confirm, reject, undo, reviews."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from pipeline.commands.options import DONE, DebugOption, JsonOption, LabOption
from pipeline.commands.terminal.output import print_result
from pipeline.commands.terminal.reviews import print_review, print_reviews
from pipeline.lab import open_lab

app = typer.Typer()

ByOption = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides; else whoever is logged in.")]
WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason; it is kept with the decision.")]
CoinArgument = Annotated[str, typer.Argument(metavar="COIN", help="A coin that was scanned or imported.")]
EntryArgument = Annotated[
    str, typer.Argument(metavar="ENTRY", help="A catalogue entry's id, or what the catalogue calls its coin.")
]


class LabelledSide(StrEnum):
    """A side of a coin."""

    OBVERSE = "obverse"
    REVERSE = "reverse"


class Shared(StrEnum):
    """What two coins have in common."""

    DIE = "die"
    TYPE = "type"


@app.command(epilog='Example: `rig confirm 2024.1.11 "Hess 1936, plate 3, lot 41, obverse" --why "the same crack"`')
def confirm(
    coin: CoinArgument,
    entry: EntryArgument,
    why: WhyOption = "",
    by: ByOption = None,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Confirm that a coin is the same physical coin as a catalogue entry's. Datasets then train on both."""
    from pipeline.collection.reviews import Person, review_match

    print_result(review_match(open_lab(lab), coin, entry, Person(by, why), "same coin"), print_review, json=json)
    return DONE


@app.command(epilog='Example: `rig reject 2024.1.11 "Hess 1936, plate 3, lot 41" --why "the same die, another flan"`')
def reject(
    coin: CoinArgument,
    entry: EntryArgument,
    same: Annotated[
        Shared | None, typer.Option(help="What the two have in common all the same: their die, or their type.")
    ] = None,
    why: WhyOption = "",
    by: ByOption = None,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Record that a coin is not the one of a catalogue entry, however similar they are."""
    from pipeline.collection.decisions import Decision
    from pipeline.collection.reviews import Person, review_match

    shared: dict[Shared | None, Decision] = {None: "different", Shared.DIE: "same die", Shared.TYPE: "same type"}
    print_result(review_match(open_lab(lab), coin, entry, Person(by, why), shared[same]), print_review, json=json)
    return DONE


@app.command(epilog="Example: `rig undo 118`, where `rig reviews --json` has number 118")
def undo(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="Of a decision, as `rig reviews --json` has it.")],
    why: WhyOption = "",
    by: ByOption = None,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Take back your decision about a match; what was decided before it counts again. Both stay in the journal."""
    from pipeline.collection.reviews import Person, undo_review

    print_result(undo_review(open_lab(lab), number, Person(by, why)), print_review, json=json)
    return DONE


@app.command(
    epilog="Example: `rig label 2024.1.12 --coin 2024.1.11 --session 20261120T081500Z-1a2b3c "
    '--why "slots were swapped"`'
)
def label(
    name: Annotated[str, typer.Argument(metavar="NEW", help="The coin that the frames really show.")],
    frame: Annotated[list[str] | None, typer.Option("--frame", help="A frame's id; may be given repeatedly.")] = None,
    session: Annotated[list[str] | None, typer.Option("--session", help="Frames of a session.")] = None,
    coin: Annotated[list[str] | None, typer.Option("--coin", help="Frames that are labelled as this coin.")] = None,
    side: Annotated[LabelledSide | None, typer.Option(help="The side that they really show.")] = None,
    why: WhyOption = "",
    by: ByOption = None,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Correct the label of frames; several options select what matches them all. The old label stays in the journal."""
    from pipeline.collection.reviews import Person, relabel_frames
    from pipeline.collection.storekeeping import Selection

    selection = Selection(frames=frame or (), sessions=session or (), coins=coin or ())
    review = relabel_frames(open_lab(lab), name, selection, side.value if side else None, Person(by, why))
    print_result(review, print_review, json=json)
    return DONE


@app.command(epilog="Example: `rig reviews --coin 2024.1.11`")
def reviews(
    coin: Annotated[str | None, typer.Option(help="Decisions about this coin.")] = None,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """List what persons decided: matches confirmed and rejected, labels corrected; who, when and why."""
    from pipeline.collection.reviews import list_reviews

    print_result(list_reviews(open_lab(lab), coin), print_reviews, json=json)
    return DONE
