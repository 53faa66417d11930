"""`make demo`: put glasses on a portrait with csvae's own model; then train on drawn faces for three minutes.

Each step is a command that you could type; its pictures and its run lie in ./demo.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from PIL import Image

from csvae_cli.data.toy_faces import portrait

FOLDER = Path("demo")
PORTRAIT = Path(__file__).parent.parent / "docs" / "portrait.jpg"
CSVAE = str(Path(sys.executable).with_name("csvae"))


def main() -> None:
    """All steps; a failing one ends the demo with its exit code."""
    FOLDER.mkdir(exist_ok=True)
    os.environ["CSVAE_RUNS"] = str(FOLDER / "runs")
    face, friend = FOLDER / "face.png", FOLDER / "friend.png"
    Image.fromarray(portrait(2, glasses=False, facial_hair=False, size=512)).save(face)
    Image.fromarray(portrait(16, glasses=True, facial_hair=False, size=512)).save(friend)

    portrayed = (str(PORTRAIT), "--model", "csvae", "--force")
    step("transfer", *portrayed, "--attr", "glasses", "--pc", "1", "--out", str(FOLDER))
    step("grid", *portrayed, "--out", str(FOLDER / "portrait.png"))

    step("train", "--dataset", "toy-faces", "--epochs", "3")
    # Decoded: after so short a training the model's own small pictures say more than a changed photo.
    edit = ("--decoded", "--out", str(FOLDER), "--force")
    step("transfer", str(face), "--attr", "glasses", "--pc", "1", *edit)
    step("transfer", str(face), "--attr", "facial-hair", *edit)
    step("transfer", str(face), "--attr", "glasses", "--style-from", str(friend), *edit)
    step("grid", "--out", str(FOLDER / "people.png"), "--force")
    step("grid", str(face), "--attr", "glasses", "--out", str(FOLDER / "styles.png"), "--force")
    print(
        f"\nLook at {FOLDER}/portrait.png and {FOLDER}/portrait-glasses/ (csvae's own model), and at what "
        f"was just learnt: {FOLDER}/people.png (people down, styles across), {FOLDER}/styles.png (the plane "
        f"of glasses), and the edited face in {FOLDER}/face-glasses/ and {FOLDER}/face-facial-hair/."
    )


def step(*arguments: str) -> None:
    """Say the command, and run it."""
    print(f"\n$ csvae {shlex.join(arguments)}", flush=True)
    code = subprocess.run([CSVAE, *arguments], check=False).returncode
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main()
