"""A figure: what was measured, on how much, and how far its judge is to be trusted."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite, nan
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured value.

    name: of the measure, as in `MEANINGS`; attribute: "" where it is of whole pictures; detail: what of it
    (which code, which probe, which factor); pictures: how many are behind it; judge: the balanced accuracy
    of the classifier that it depends on, on real pictures of the same split (of an edited attribute on those
    on whom it is tried); NaN is a value that does not exist for this model.
    """

    name: str
    value: float
    pictures: int
    attribute: str = ""
    detail: str = ""
    judge: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Without the fields that say nothing; a value that does not exist, or has no end, is null."""
        found = {key: value for key, value in asdict(self).items() if value not in ("", None)}
        if self.judge is not None and not isfinite(self.judge):
            del found["judge"]
        return found | {"value": round(self.value, 5) if isfinite(self.value) else None}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Figure":
        """The other way round: a value that does not exist is NaN again."""
        value = found["value"]
        return cls(**{**found, "value": nan if value is None else value})


MEANINGS: dict[str, str] = {
    "leak_z": "read from z by the strongest of three fresh probes, balanced accuracy (chance 0.5)",
    "leak_z_auroc": "the same as area under the ROC curve (chance 0.5)",
    "leak_z_strata": "read from z among people alike in what edits leave alone (sex, age …)",
    "leak_z_strata_auroc": "the same as area under the ROC curve",
    "leak_w": "read from its own w, balanced accuracy (should be 1)",
    "leak_w_auroc": "the same as area under the ROC curve",
    "leak_other_w": "read from another attribute's w, balanced accuracy (chance 0.5)",
    "adversary": "read from z by the model's own adversary: not a measure of the leak",
    "accepted": "put on in the default style and taken off, and accepted by the judge (the paper's Table 1)",
    "added": "put on in the default style (the class mean; flow-csvae's is clearer), accepted by the judge",
    "added_floor": "plain reconstructions of those without it, seen to have it: what doing nothing gives",
    "added_mean": "put on in 25 styles within two standard deviations, accepted: the mean over styles "
    "(where W is the label itself, of 0.5 to 1.5 times it)",
    "added_worst": "the same: the worst of the styles",
    "removed": "taken off, accepted by the judge",
    "kept": "plain reconstructions of those who have it, still seen to have it",
    "kept_of_seen": "the same, of those seen to have it in the picture itself",
    "moved_adding": "how far the judge's probability of another label moves as the attribute is added",
    "moved_removing": "the same as it is removed",
    "naturalness": "edited people told from decoded real wearers by fresh classifiers, AUROC (best 0.5)",
    "naturalness_floor": "the same of real wearers and real others, the attribute covered: what else differs",
    "recognised": "a wearer's style on another person, recognised as theirs among ten (chance 0.1)",
    "recognised_ceiling": "the same of the wearer's own reconstruction: what the judge's features allow",
    "judge": "the judge's own balanced accuracy on real pictures",
    "judge_blurred": "the same, pictures blurred by a Gaussian of 2 pixels",
    "variety": "how far the 25 styles are from one another inside the attribute's region (RMS, of 1)",
    "change_outside": "how far an edit moves the reconstruction outside the region (RMS, of 1)",
    "distance_outside": "how far an edited picture is from the original outside the region (RMS, of 1)",
    "identity_own": "cosine of a face recogniser's vectors of original and reconstruction (CelebA only)",
    "identity_edited": "the same, original and edited",
    "identity_others": "the same, two different people: what no likeness gives",
    "squared_error": "of reconstructions, a picture, summed over its numbers",
    "psnr": "of reconstructions, dB, of the mean squared error over all pictures",
    "ssim": "structural similarity of reconstructions",
    "factor": "R² of a true style factor",
    "target_changed": "squared error, the same person's real picture against the changed one (Method 2); "
    "the style is chosen on other people",
    "original_changed": "squared error, the original against the changed one (Method 2)",
    "target_original": "squared error, the real picture against the original (Method 2)",
}
"""Every measure that there is, in the order of reports."""
