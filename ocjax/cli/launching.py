"""What `ocjax train` and `experiments/train.py` share: launch, print, end."""

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
    """Does what a configuration says, and prints the result as a line of JSON.

    Ends the process with `exits.NOT_FINITE` where runs of a table diverged.

    Args:
      values: as `runs.configure` makes them.
      job: the processes that do it together.
      **options: of `runs.launch`.

    Returns:
      What came of it; of several processes None in all but process 0.

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
      The "a.b=c" of all arguments like "--config.a.b=c"; and the other arguments.
    """
    changes, others = [], []
    for argument in arguments:
        match = re.match(r"--?config\.", argument)
        if match:
            changes.append(argument[match.end() :])
        else:
            others.append(argument)
    return changes, others
