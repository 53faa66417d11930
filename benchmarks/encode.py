"""`csvae encode` of a folder of JPEGs, against Pillow's decoding and resizing alone on the same cores.

    python benchmarks/encode.py DIR/full_size_valid.zip [--count 1000] [--scale 1] [--search] [--model RUN]

The time of the whole command less that of a single picture; Pillow decodes, crops and resizes the same files
in a process for each core: as they are, and with its JPEG decoder told to shrink them by as much as csvae
does. --scale 4 makes the pictures (178×218) as many times as large in each direction. --search looks for the
faces instead of being told that the pictures are aligned.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image

from csvae_cli.data.celeba_frame import crop_box
from csvae_cli.data.framing import Align, Framing, shrinkable


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zip", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = list(pictures(options.zip, options.scale))
        for part, count in (("one", 1), ("all", options.count)):
            (root / part).mkdir()
            for number in range(count):
                (root / part / f"{number:06d}.jpg").write_bytes(files[number % len(files)])
        align = "auto" if options.search else "celeba"
        ours = encode(root / "all", align, options.model) - encode(root / "one", align, options.model)
        theirs, shrinking = (pillow(root / "all", shrinking=each) for each in (False, True))
    count, size = options.count, f"{178 * options.scale}×{218 * options.scale}"
    print(
        f"{count} pictures of {size}, --align {align}: {count / ours:.0f} a second; "
        f"Pillow's decoding and resizing alone {count / theirs:.0f}, ratio {theirs / ours:.2f}; "
        f"its shrinking decoder {count / shrinking:.0f}, ratio {shrinking / ours:.2f}"
    )


def pictures(path: Path, scale: int) -> list[bytes]:
    """JPEGs of the zip, enlarged."""
    with zipfile.ZipFile(path) as archive:
        files = [archive.read(name) for name in archive.namelist() if name.endswith(".jpg")]
    if scale == 1:
        return files
    return [_enlarged(data, scale) for data in files[:50]]


def _enlarged(data: bytes, scale: int) -> bytes:
    buffer = io.BytesIO()
    small = Image.open(io.BytesIO(data)).convert("RGB")
    large = small.resize((178 * scale, 218 * scale), Image.Resampling.BICUBIC)
    large.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def encode(folder: Path, align: Align, model: str | None) -> float:
    """Seconds of the whole command."""
    command = [str(Path(sys.executable).with_name("csvae")), "encode", str(folder), "--align", align]
    command += ["--out", str(folder.with_suffix(".npz")), *(["--model", model] if model else [])]
    began = time.perf_counter()
    environment = {**os.environ, "CSVAE_RUNS": str(folder / "none")}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - began


def pillow(folder: Path, *, shrinking: bool) -> float:
    """Seconds, by a process for each core that is there already."""
    paths, work = sorted(folder.iterdir()), partial(decode, shrinking=shrinking)
    with ProcessPoolExecutor() as pool:
        list(pool.map(work, paths[:8]))
        began = time.perf_counter()
        list(pool.map(work, paths, chunksize=32))
        return time.perf_counter() - began


def decode(path: Path, *, shrinking: bool) -> None:
    """A picture as 64×64 pixels of the crop that models are trained on; shrinking: from as few as do."""
    image = Image.open(path)
    if shrinking:
        by = shrinkable(*image.size, Framing(searched=True, align="celeba"), 64)
        image.draft(None, (image.width // by, image.height // by))
    image = image.convert("RGB")
    image.resize((64, 64), Image.Resampling.BICUBIC, crop_box(*image.size))


if __name__ == "__main__":
    main()
