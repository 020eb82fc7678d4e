"""One thread that judges the images of all requests, many at a time."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from ocjax.inference.scorer import Scorer, Verdict

LARGEST = 32  # Images in one call of the scorer: as many as it computes at once.


class Batches:
    """Gathers the images that wait while the scorer works into its next call."""

    def __init__(self, scorer: Scorer):
        """Nothing is judged yet; `scorer` is from now on called by one thread only."""
        self._scorer = scorer
        # By whether heatmaps are asked for, which takes another call.
        self._waiting: dict[bool, deque] = {False: deque(), True: deque()}
        self._worker = ThreadPoolExecutor(1, "ocjax-scorer")

    def submit(
        self, images: np.ndarray | Sequence[np.ndarray], *, explain: bool = False
    ) -> list[Future[Verdict]]:
        """Lets images be judged.

        Args:
          images: up to `LARGEST` of them, `[S, S, C]` as `Scorer.judge` takes many.
          explain: give heatmaps too.

        Returns:
          For each image its own verdict, or what the scorer raised.

        Raises:
          ValueError: there are more images.
        """
        if len(images) > LARGEST:
            raise ValueError(f"Expected at most {LARGEST} images, got {len(images)}.")
        futures = [Future() for _ in images]
        self._waiting[explain].extend(zip(images, futures, strict=True))
        # One turn for at most `LARGEST` images: so there are enough turns for all.
        self._worker.submit(self._take_turn, explain)
        return futures

    def _take_turn(self, explain: bool) -> None:
        waiting = self._waiting[explain]
        taken = [waiting.popleft() for _ in range(min(LARGEST, len(waiting)))]
        taken = [one for one in taken if one[1].set_running_or_notify_cancel()]
        if not taken:
            return
        try:
            images = np.stack([image for image, _ in taken])
            single = list(self._scorer.judge(images, explain=explain).each())
        except Exception as error:
            for _, future in taken:
                future.set_exception(error)
        else:
            for (_, future), verdict in zip(taken, single, strict=True):
                future.set_result(verdict)
