"""csvae transfer."""

from pathlib import Path
from typing import Annotated

import typer

from csvae_cli.commands.options import (
    RUNS,
    Align,
    Attribute,
    Device,
    Eyes,
    FaceOption,
    Force,
    Inputs,
    Json,
    ModelRef,
    Precision,
    Runs,
)


def transfer(
    inputs: Inputs = [],  # noqa: B006 (Typer copies it)
    attr: Attribute = None,
    pc: Annotated[
        list[int] | None,
        typer.Option("--pc", metavar="N", min=1, help="Styles along principal component N; can be repeated."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, max=99, help="Pictures along each --pc. Default: 5."),
    ] = None,
    span: Annotated[
        float | None,
        typer.Option(
            "--span", min=0.01, max=10, help="Standard deviations that --pc and --grid reach. Default: 2."
        ),
    ] = None,
    grid: Annotated[
        str | None, typer.Option("--grid", metavar="RxC", help="Styles over the plane of W, R×C of them.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="X,Y,…",
            help="The style at a point: all numbers of W (write --at=-1,2…), or as csvae grid calls it, "
            "like pc1+2.0pc2-1.0.",
        ),
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Take the attribute away.")] = False,
    own: Annotated[bool, typer.Option("--own", help="Keep the picture's own style.")] = False,
    style_from: Annotated[
        Path | None, typer.Option("--style-from", metavar="PICTURE", help="The style of another picture.")
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", metavar="FILE", help="A CSV with columns input,style_from; a row per edit."),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also",
            metavar="NAME[=STYLE]",
            help="Another attribute in the same picture: on (if you name no style), off, own, pc1+2.00, "
            "pc1+1.00pc2-0.50 or 1.5,-2.",
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option(
            "--strength",
            min=-5,
            max=5,
            help="0: the picture's own style; 1: what is asked for; 2: as far again.",
        ),
    ] = 1.0,
    decoded: Annotated[
        bool,
        typer.Option(
            "--decoded/--photo",
            help="The small square that the model draws, as PNG; or the photo with the change (default).",
        ),
    ] = False,
    sheet: Annotated[
        bool, typer.Option("--sheet", help="Also the styles asked for side by side, sheet.png.")
    ] = False,
    walk: Annotated[
        bool,
        typer.Option("--walk", help="Also a walk through the styles asked for, an animation, walk.webp."),
    ] = False,
    strip: Annotated[
        bool, typer.Option("--strip", help="Leave out EXIF (place, time, camera) and the colour profile.")
    ] = False,
    align: Align = "auto",
    face: FaceOption = "largest",
    eyes: Eyes = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where INPUT-ATTR/ folders go.")] = Path(),
    force: Force = False,
    model: ModelRef = None,
    runs: Runs = RUNS,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: Json = False,
) -> None:
    """Put a style of an attribute on pictures, and write each as a new file.

    Example: csvae transfer face.jpg --attr glasses --pc 2
    """
    from csvae_cli import output
    from csvae_cli.data.framing import summary
    from csvae_cli.device import resolve
    from csvae_cli.editing import requests
    from csvae_cli.editing.editor import Editor
    from csvae_cli.editing.pictures import Failed
    from csvae_cli.editing.requests import framing_of
    from csvae_cli.editing.styles import StyleRequest, parse_grid
    from csvae_cli.editing.transfer import Manner, run_jobs
    from csvae_cli.errors import StoppedError, WorkError
    from csvae_cli.interrupt import polite_stop
    from csvae_cli.processes import of_environment
    from csvae_cli.runs import load

    request = StyleRequest(
        components=tuple(pc or ()),
        steps=steps,
        span=span,
        grid=parse_grid(grid) if grid is not None else None,
        at=at,
        off=off,
        own=own,
    )
    requests.check(inputs, request, style_from, pairs, overview=sheet or walk)
    loaded = load(model, runs)
    attribute = requests.attribute_of(loaded, attr)
    jobs = requests.jobs(loaded, attribute, inputs, request, style_from, pairs, out)
    framing = framing_of(loaded, align, face, eyes, inputs)
    editor = Editor(loaded, resolve(device, precision), framing)
    failed, framed = 0, {}
    bare: set[Path] = set()
    stranger: set[Path] = set()
    others = requests.also_of(loaded, attribute, also or ())
    manner = Manner(
        attribute,
        others,
        strength,
        decoded=decoded,
        sheet=sheet,
        walk=walk,
        force=force,
        strip=strip,
    )
    with polite_stop() as stop:
        for result in run_jobs(editor, jobs, manner, stop):
            if as_json:
                output.answer_json(result.as_json())
            elif not isinstance(result, Failed):
                output.answer(str(result.output))
            if isinstance(result, Failed):
                failed += 1
                output.say(f"csvae: {result.reason}")
                continue
            framed[result.source] = result.framed
            if result.bare:
                (bare if result.style_from is None else stranger).add(result.style_from or result.source)
    if framed:
        output.say(f"csvae: {summary(list(framed.values()))}")
    name = loaded.config.model.attributes[attribute]
    if bare:
        output.say(f"csvae: the model sees no {name} in {_some(bare)}; --off changes little there.")
    if stranger:
        output.say(f"csvae: the model sees no {name} in {_some(stranger)}, whose style was to be taken.")
    if stop():
        raise StoppedError("Stopped; all that was written is told above.", stop.signal_number)
    if failed:
        share = range(len(jobs))[of_environment().share(len(jobs))]
        raise WorkError(f"{failed} of {len(share)} {'inputs' if pairs is None else 'edits'} failed.")


def _some(paths: set[Path]) -> str:
    """Three of them, and how many more there are."""
    named = sorted(map(str, paths))
    return ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
