"""Makes the data set of clean and attacked stop signs, LR-GDAN's Table 4 in public.

    python experiments/stop_signs.py --data_dir=DIR --out=OUT

DIR has GTSRB (see `ocjax.data.sources.signs`). A classifier of all signs is trained, in
some minutes on two cores, and attacked: `OUT/stop_signs.npz` are the images,
`OUT/stop_signs.json` parameters, success rates and norms, `OUT/stop_signs.png` some
pictures. A seed always makes the same files. Then:

    python experiments/train.py --config=experiments/lrgdan/stop_signs.py --data_dir=OUT
"""

import json
import pathlib

import jax
import numpy as np
from absl import flags

from ocjax import data
from ocjax.attacks import stop_signs
from ocjax.cli import exits
from ocjax.runs.display import say

DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of GTSRB.", required=True)
OUT = flags.DEFINE_string("out", None, "Folder to write to.", required=True)
SEED = flags.DEFINE_integer("seed", 0, "Seed of all randomness.", lower_bound=0)
EPOCHS = flags.DEFINE_integer("epochs", 40, "Epochs of the classifier.", lower_bound=1)
STEPS = flags.DEFINE_integer(
    "boundary_steps", 25_000, "Most steps of the Boundary Attack.", lower_bound=1
)
SHOWN = 8  # Number of signs of each attack in the picture.


def main(_) -> None:
    """Makes the data set and prints facts about it."""
    folder = pathlib.Path(OUT.value)
    folder.mkdir(parents=True, exist_ok=True)  # An error here costs no minutes.
    dataset = data.load("gtsrb", data_dir=DATA_DIR.value)
    signs = stop_signs.make(
        dataset,
        jax.random.key(SEED.value),
        epochs=EPOCHS.value,
        parameters={"boundary": {"steps": STEPS.value}},
        tell=say,
    )
    np.savez(folder / "stop_signs.npz", allow_pickle=False, **signs.arrays)
    facts = {"seed": SEED.value, "device": jax.devices()[0].device_kind, **signs.facts}
    (folder / "stop_signs.json").write_text(json.dumps(facts, indent=2) + "\n")
    draw(dataset.images, signs.arrays, folder / "stop_signs.png")
    print(json.dumps(facts))


def draw(originals: np.ndarray, arrays, path: pathlib.Path) -> None:
    """Draws some attacked signs, their originals and, times ten, the changes."""
    from PIL import Image

    rows = []
    for name in stop_signs.ATTACKS:
        attacked = arrays[name][:SHOWN]
        clean = originals[arrays[f"{name}_index"][:SHOWN]] / 255
        change = np.clip(0.5 + 10 * (attacked - clean), 0, 1)
        for images in (clean, attacked, change):
            blank = np.ones((SHOWN - len(images), *originals.shape[1:]))
            rows.append(np.concatenate([*images, *blank], axis=1))
    picture = np.round(np.concatenate(rows) * 255).astype(np.uint8)
    image = Image.fromarray(picture)
    image.resize((image.width * 2, image.height * 2), Image.Resampling.NEAREST).save(
        path
    )


if __name__ == "__main__":
    exits.start(exits.guarded(main), exits.parse_flags)
