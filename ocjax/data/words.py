"""What the names of folders, files and labels say of the pictures they hold.

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
# In their order: what denies a word comes before the word.
_READINGS: tuple[tuple[str, Meaning], ...] = (
    (rf"\b{_NOT} (?:any )?(?:{_BAD})\b|\b(?:non?|not)(?:{_BAD})\b", "good"),
    (rf"\b(?:{_BAD}) ?(?:free|less)\b", "good"),
    (rf"\b{_NOT} (?:{_GOOD})\b|\b(?:non|not)(?:{_GOOD})\b", "bad"),
    (rf"\b(?:{_BAD})\b", "bad"),
    (rf"\b(?:{_GOOD})\b", "good"),
)


def meaning(name: str, *, strictly: bool = False) -> Meaning | None:
    """What a name says of what it holds, None if nothing.

    A part, or good ones, are what all words say, but for numbers and such as "images":
    `good lighting` is no folder of good pictures. One word for bad is enough.

    Args:
      name: of a folder, without those it is in.
      strictly: all words say bad, and of a part there are no others, as `test 1` has.
    """
    said, rest = _said(_words(name))
    parts: set[Meaning | None] = {_PARTS.get(word) for word in rest}
    if len(parts) == 1 and None not in parts:  # `test good` too.
        alone = rest == [re.sub(r"[\W_]", "", name.lower())]
        return parts.pop() if alone or not strictly else None
    if "bad" in said:
        return "bad" if not (strictly and rest) else None
    if said == {"good"} and not rest:
        return "good"
    return "unclear" if rest and _UNCLEAR.issuperset(rest) else None


def is_empty(name: str) -> bool:
    """Whether a name has words, and all of them are such as "images"."""
    words = _words(name)
    return bool(words) and _said(words) == (set(), [])


def has_good(name: str) -> bool:
    """Whether a name has a word for good and none for bad, beside any others."""
    return _said(_words(name))[0] == {"good"}


def _words(name: str) -> str:
    """The words in lower case, without numbers, joined by spaces."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = " ".join(re.findall(r"[^\W\d_]+", apart.lower()))
    return re.sub(r"\bground truth", "groundtruth", words)


def _said(words: str) -> tuple[set[Meaning], list[str]]:
    """Whether they say good and bad, and the other words that are not neutral."""
    said = set()
    for pattern, reading in _READINGS:
        words, count = re.subn(pattern, " ", words)
        if count:
            said.add(reading)
    return said, [word for word in words.split() if word not in _NEUTRAL]
