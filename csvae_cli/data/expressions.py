"""What the data sets of facial expressions share: names, where files are looked for, checks.

Only `one_hot` imports numpy: listing and counting do not need it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from csvae_cli.data.picture_files import entries
from csvae_cli.errors import RequestError, one_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from csvae_cli.data.dataset import SplitName

WITH_NEUTRAL = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
WITH_CONTEMPT = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")

SIZE = 48

Members = Mapping["SplitName", Mapping[str, str]]
"""For each split its pictures in order, name -> expression."""
Counts = Mapping["SplitName", tuple[int, Mapping[str, int]]]
"""For each split its size and the number of pictures of each expression."""


@dataclass(frozen=True)
class Home:
    """Where a data set is looked for: in the user's directory and in `folder` there.

    name: as in the registry; title: as people know it; files: what is looked for.
    """

    name: str
    title: str
    folder: str
    files: str

    def roots(self, data_dir: Path | None) -> tuple[Path, Path]:
        """The directories to search; the one named after the data set first, as it can be nothing else.

        Raises RequestError where there is no directory.
        """
        if data_dir is None:
            raise RequestError(
                f"{self.name} needs {self.title}: name the directory with {self.files} in it with "
                f"--data-dir DIR (or CSVAE_DATA)."
            )
        if not entries(data_dir) and not data_dir.is_dir():
            raise RequestError(
                f"There is no directory {data_dir}; name {self.title}'s with --data-dir (or CSVAE_DATA)."
            )
        return data_dir / self.folder, data_dir

    def missing(self, data_dir: Path | None) -> RequestError:
        return RequestError(
            f"There is no {self.title} in {data_dir} (nor in {self.folder}/ there): {self.files} is looked "
            f"for; name its directory with --data-dir."
        )


def refuse_to_keep(source: str, keep: Sequence[str], attributes: Sequence[str]) -> None:
    """Raises RequestError if there is anything to keep: these sources have no other labels."""
    for name in keep:
        if name in attributes:
            raise RequestError(f"{source} has labels for “{name}” anyway; leave it out of what to keep.")
        raise one_of(f"attribute of {source}", name, attributes)


def count(members: Members, attributes: Sequence[str]) -> Counts:
    counted: dict[SplitName, tuple[int, Mapping[str, int]]] = {}
    for split, shown in members.items():
        found = list(shown.values())
        counted[split] = len(found), {attribute: found.count(attribute) for attribute in attributes}
    return counted


def check_classes(counts: Counts, path: Path, title: str) -> None:
    """Raises RequestError where a split has no pictures of an expression."""
    for split, (size, found) in counts.items():
        lacking = [attribute for attribute, pictures in found.items() if not pictures]
        if lacking:
            what = f"no pictures of {' and '.join(lacking)}" if size else "no pictures at all"
            raise RequestError(
                f"Of {path} the {split} split has {what}, so there is nothing to learn them from; "
                f"use more of {title}."
            )


def one_hot(shown: Sequence[str], attributes: Sequence[str]) -> "NDArray[np.int8]":
    """int8 N×k, 1 in the column of the expression shown, 0 in the others."""
    import numpy as np

    places = [attributes.index(name) for name in shown]
    labels: NDArray[np.int8] = np.eye(len(attributes), dtype=np.int8)[places]
    return labels
