"""Writes README.md from the results, so that no number in it is typed by hand.

python benchmarks/render.py
"""

import json
import pathlib

import interleave

README = pathlib.Path(__file__).parent / "README.md"

INTRODUCTION = """\
<!-- Written by render.py from results/*.json. Do not edit. -->
# Benchmarks

Speed of ocjax against PyTorch, of its methods against each other, of many models at
once, of frozen features, of attacks against foolbox, of reading sounds and pictures
against plain loops, of the command and the page, and the cost of starting it.

How to read: images a second differ between machines and hours, ratios far less. So
candidates take turns within one process, for the seconds among the settings, and a
ratio is the median over the rounds of the candidates' ratio within a round; `lowest`
and `highest` are its extremes. Above 1 is faster than the baseline named in the
heading. Of all methods the ratio is that of GFLOP/s. Scaling, start and forms of
convolution take a process for each point.

- *PyTorch, authors' form* computes each step as the authors' code does.
- *PyTorch, tuned* is the same mathematics with nothing computed twice, channels
  last, fused Adam; for scores, BatchNorm folded into the convolutions.
- *bfloat16* is the tuned form under `torch.autocast`, parameters in float32; left out
  on processors without such products, where it takes thirty times as long.
- *PyTorch, compiled* (GPU only) is the tuned step under `torch.compile` with CUDA
  graphs.

Before anything is timed, the forms are checked to train to the same weights. All
else is in float32, on all cores; on a GPU both sides may use TF32 unless
`--notf32` is given.

How to run, with PyTorch installed beside ocjax:

```
python benchmarks/train_step.py
python benchmarks/score.py
python benchmarks/backbones.py
python benchmarks/methods.py
python benchmarks/convolutions.py
python benchmarks/sweep.py
python benchmarks/scaling.py
python benchmarks/jobs.py
python benchmarks/extrapolate.py
python benchmarks/startup.py
python benchmarks/attacks.py
python benchmarks/spectrograms.py
python benchmarks/folders.py
python benchmarks/command.py
python benchmarks/serving.py
python benchmarks/render.py
```

`--name` keeps a result under another name, `--help` lists what else can be changed.
"""


def section(result: dict) -> str:
    """One result in Markdown."""
    where = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    lines = [f"## {result['title']}", f"`{result['command']}`"]
    lines.append(f"{result['date']}; {where}.")
    if "settings" in result:
        settings = (f"{key} {value}" for key, value in result["settings"].items())
        lines.append(f"Settings: {', '.join(settings)}.")
    for caption, rows in result["tables"].items():
        lines += [f"{caption}:", interleave.table(rows)]
    if "picture" in result:
        lines.append(f"![{result['title']}]({result['picture']})")
    return "\n\n".join(lines) + "\n"


def page() -> str:
    """Every result in Markdown, in the order of the files' names."""
    paths = sorted(interleave.RESULTS.glob("*.json"))
    sections = [section(json.loads(path.read_text())) for path in paths]
    return "\n".join([INTRODUCTION, *sections])


if __name__ == "__main__":
    README.write_text(page())
