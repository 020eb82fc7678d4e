"""Meaning of the names of folders, files and labels for the pictures they hold.

Names are read word by word, in any case and with any separators: `Not_OK`,
`defect-free` and `03 GoodParts` are "not ok", "defect free" and "good parts".
"""

import re
from typing import Literal

Meaning = Literal["train", "test", "validation", "masks", "good", "bad", "unclear"]

# Words that add nothing to others, such as "images" to "good images".
_NEUTRAL = {
    "class", "cls", "data", "dataset", "detected", "examples", "file", "files",
    "folder", "found", "image", "images", "img", "imgs", "item", "items", "label",
    "object", "objects", "only", "part", "parts", "photo", "photos", "pic", "pics",
    "picture", "pictures", "product", "products", "sample", "samples", "set",
    "split", "subset", "type",
}  # fmt: skip
_PARTS: dict[str, Meaning] = {
    **dict.fromkeys(("train", "training", "trainset", "trn"), "train"),
    **dict.fromkeys(("test", "testing", "tests", "testset", "tst"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "valset"), "validation"),
    **dict.fromkeys(
        ("groundtruth", "groundtruths", "gt", "gts", "mask", "masks", "annotation",
         "annotations", "segmentation", "segmentations"),
        "masks",
    ),
}  # fmt: skip
_UNCLEAR = {"positive", "positives", "pos", "negative", "negatives", "neg"}
_GOOD = (
    "good|goods|normals?|ok|oks|okay|fine|pass|passed|passing|healthy|clean|intact|"
    "perfect|undamaged|unbroken|inliers?|nominal|correct|accepted|acceptable|accept|"
    "conforming"
)
_BAD = (
    "(?:defect|anomal|abnormal|fault|reject|damage|flaw)[a-z]*|bads?|def|anoms?|ngs?|"
    "noks?|kos?|fails?|failed|failures?|failing|scraps?|scrapped|broken|outliers?|"
    "incorrect|wrong|unhealthy|unclean|imperfect|imperfections?|unacceptable|"
    "nonconforming|nonconformity|cracks?|cracked|scratch|scratches|scratched"
)
_NOT = r"(?:not|non|no|without|zero|never|free of|un|n)"
# Readings in the order in which they are tried: a denied word before the word.
_READINGS: tuple[tuple[str, Meaning], ...] = (
    (rf"\b{_NOT} (?:any )?(?:{_BAD})\b|\b(?:non?|not)(?:{_BAD})\b", "good"),
    (rf"\b(?:{_BAD}) ?(?:free|less)\b", "good"),
    (rf"\b{_NOT} (?:{_GOOD})\b|\b(?:non|not)(?:{_GOOD})\b", "bad"),
    (rf"\b(?:{_BAD})\b", "bad"),
    (rf"\b(?:{_GOOD})\b", "good"),
)


def meaning(name: str, *, strictly: bool = False) -> Meaning | None:
    """Meaning of a name for what it holds, None if it has none.

    All words must say a part, or good, but for numbers and such as "images":
    `good lighting` is no folder of good pictures. One word for bad is enough.

    Args:
      name: name of a folder, a file or a label, without the folders it is in.
      strictly: take a name for bad only if all words say so, and for a part only if it
        is one word alone, as `test 1` is not.
    """
    sides, rest = _read(_words(name))
    parts: set[Meaning | None] = {_PARTS.get(word) for word in rest}
    if len(parts) == 1 and None not in parts:  # `test good` is a part, too.
        alone = rest == [re.sub(r"[\W_]", "", name.lower())]
        return parts.pop() if alone or not strictly else None
    if "bad" in sides:
        return "bad" if not (strictly and rest) else None
    if sides == {"good"} and not rest:
        return "good"
    return "unclear" if rest and _UNCLEAR.issuperset(rest) else None


def is_empty(name: str) -> bool:
    """Whether a name has words, and all of them are such as "images"."""
    words = _words(name)
    return bool(words) and _read(words) == (set(), [])


def has_good(name: str) -> bool:
    """Whether a name has a word for good and none for bad, beside any others."""
    sides, _ = _read(_words(name))
    return sides == {"good"}


def _words(name: str) -> str:
    """Words of a name in lower case, without numbers, joined by spaces."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = " ".join(re.findall(r"[^\W\d_]+", apart.lower()))
    return re.sub(r"\bground truth", "groundtruth", words)


def _read(words: str) -> tuple[set[Meaning], list[str]]:
    """Set of "good" and "bad" that words say, and the other words but neutral ones."""
    sides = set()
    for pattern, reading in _READINGS:
        words, count = re.subn(pattern, " ", words)
        if count:
            sides.add(reading)
    return sides, [word for word in words.split() if word not in _NEUTRAL]
