"""Launch, print and end, shared by `ocjax train` and `experiments/train.py`."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ocjax.cli import cluster, exits

if TYPE_CHECKING:
    from ocjax.runs import Summary, TableSummary


def launch(
    values: Mapping[str, Any], job: cluster.Job = cluster.ALONE, **options: Any
) -> "Summary | TableSummary | None":
    """Runs a configuration, and prints the result as a line of JSON.

    Ends the process with `exits.NOT_FINITE` where runs of a table diverged.

    Args:
      values: values of a configuration, from `runs.configure`.
      job: processes that run it together.
      **options: options of `runs.launch`.

    Returns:
      Summary of the run or table; None in processes other than process 0.

    Raises:
      InputError: the job, the configuration, the data or a folder cannot be used.
    """
    from ocjax import runs
    from ocjax.training import processes

    def work() -> "Summary | TableSummary | None":
        result = runs.launch(values, **options)
        processes.agree(0)  # Others wait here while process 0 draws.
        if result is None:
            return None
        print(json.dumps(result.to_json()))
        if isinstance(result, runs.TableSummary) and result.diverged:
            exits.fail(
                exits.NOT_FINITE,
                f"{result.diverged} runs diverged; the table names them.",
            )
        return result

    return cluster.run(job, work)


def config_flags(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divides a command line by what changes a configuration.

    Returns:
      Changes "a.b=c", from arguments like "--config.a.b=c"; and the other arguments.
    """
    changes, others = [], []
    for argument in arguments:
        match = re.match(r"--?config\.", argument)
        if match:
            changes.append(argument[match.end() :])
        else:
            others.append(argument)
    return changes, others
