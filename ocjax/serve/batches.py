"""One thread that judges the images of all requests, many at a time."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from ocjax.inference.scorer import Scorer, Verdict

LARGEST = 32  # Images in one call of the scorer, which computes as many at once.


class Batches:
    """Gathers the images that wait while the scorer works into its next call."""

    def __init__(self, scorer: Scorer):
        """Starts the one thread that calls `scorer` from now on."""
        self._scorer = scorer
        # Images that wait without and with heatmaps, which take different calls.
        self._waiting: dict[bool, deque] = {False: deque(), True: deque()}
        self._worker = ThreadPoolExecutor(1, "ocjax-scorer")

    def submit(
        self, images: np.ndarray | Sequence[np.ndarray], *, explain: bool = False
    ) -> list[Future[Verdict]]:
        """Lets images be judged.

        Args:
          images: up to `LARGEST` images `[S, S, C]`, of the kinds of `Scorer.judge`.
          explain: give heatmaps too.

        Returns:
          Future verdicts, one for each image, or what the scorer raised.

        Raises:
          ValueError: there are more images.
        """
        if len(images) > LARGEST:
            raise ValueError(f"Expected at most {LARGEST} images, got {len(images)}.")
        futures = [Future() for _ in images]
        self._waiting[explain].extend(zip(images, futures, strict=True))
        # A turn takes `LARGEST` images, as many as one call brings: turns suffice.
        self._worker.submit(self._take_turn, explain)
        return futures

    def _take_turn(self, explain: bool) -> None:
        waiting = self._waiting[explain]
        turn = [waiting.popleft() for _ in range(min(LARGEST, len(waiting)))]
        turn = [
            (x, future) for x, future in turn if future.set_running_or_notify_cancel()
        ]
        if not turn:
            return
        try:
            images = np.stack([image for image, _ in turn])
            verdicts = list(self._scorer.judge(images, explain=explain).each())
        except Exception as error:
            for _, future in turn:
                future.set_exception(error)
        else:
            for (_, future), verdict in zip(turn, verdicts, strict=True):
                future.set_result(verdict)
