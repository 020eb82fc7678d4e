"""The web application: a page, and pictures in for verdicts out."""

import asyncio
import base64
import io
import logging
import pathlib
import secrets
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from ocjax._checks import InputError
from ocjax.data import files, fitting
from ocjax.evaluation.plots.images import overlay
from ocjax.inference.scorer import Card, Scorer, Verdict
from ocjax.serve import guard, uploads
from ocjax.serve.batches import Batches

BINS = 40  # Bars of the histogram of held-out normals.
_THREADS = 2  # Decoding threads; a picture may take hundreds of MiB meanwhile.
_POLICY = (
    "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_log = logging.getLogger(__name__)


def create_app(scorer: Scorer, *, loopback: bool = True) -> Starlette:
    """Makes the application, and judges a grey picture so that all is compiled.

    `GET /` is the page, `POST /score` judges the files of a form's field `file`
    (`?heatmap=1`: with heatmaps), `GET /model` tells of the model and `GET /health`
    that the server lives.

    Args:
      scorer: model that judges the pictures, in one thread.
      loopback: refuse requests to any name or address but this machine's own, as is
        right where only this machine can connect.

    Raises:
      InputError: `scorer.judge` refuses the pictures.
    """
    grey = np.full((1, *scorer.card.shape), 128, np.uint8)
    scorer.judge(grey)
    for verdict in scorer.judge(grey, explain=True).each():
        assert verdict.heatmap is not None
        _overlay(grey[0], verdict.heatmap)  # A first call imports Pillow and the rest.
    pages = _Pages(scorer)
    routes = [
        Route("/", pages.page),
        Route("/score", pages.score, methods=["POST"]),
        Route("/model", pages.model),
        Route("/health", pages.health),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(guard.Guard, loopback=loopback)],
        exception_handlers={HTTPException: _in_one_line},
    )


class _Pages:
    """The routes."""

    def __init__(self, scorer: Scorer):
        self._card = scorer.card
        self._model = _facts(scorer.card)
        self._html = pathlib.Path(__file__).with_name("page.html").read_text("utf-8")
        self._batches = Batches(scorer)
        self._decoders = ThreadPoolExecutor(_THREADS, "ocjax-decoder")

    async def page(self, request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        return HTMLResponse(
            self._html.replace("{{ nonce }}", nonce),
            headers={"Content-Security-Policy": _POLICY.format(nonce)},
        )

    async def model(self, request: Request) -> Response:
        return JSONResponse(self._model)

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def score(self, request: Request) -> Response:
        explain = request.query_params.get("heatmap", "0") not in ("", "0")
        pictures = await uploads.read(request)
        try:
            results = await self._results(pictures, explain)
        except Exception:
            _log.exception("The model failed.")
            return guard.line(500, "The model failed; the server's log tells more.")
        scored = any("score" in result for result in results)
        return JSONResponse({"results": results}, 200 if scored else 422)

    async def _results(
        self, pictures: list[uploads.Upload], explain: bool
    ) -> list[dict]:
        decoding = [self._thread(self._decode, picture) for picture in pictures]
        decoded = await asyncio.gather(*decoding)
        good = [found[0] for found in decoded if not isinstance(found, InputError)]
        futures = self._batches.submit(good, explain=explain)
        # Each is awaited, so that of several failures none is reported as forgotten.
        judged = await asyncio.gather(
            *map(asyncio.wrap_future, futures), return_exceptions=True
        )
        verdicts, results = iter(judged), []
        for upload, found in zip(pictures, decoded, strict=True):
            if isinstance(found, InputError):
                results.append({"name": upload.name, "error": str(found)})
                continue
            verdict = next(verdicts)
            if isinstance(verdict, BaseException):
                raise verdict
            results.append(await self._thread(self._result, upload, *found, verdict))
        return results

    async def _thread(self, function, *arguments):
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._decoders, function, *arguments)

    def _decode(
        self, upload: uploads.Upload
    ) -> tuple[np.ndarray, fitting.Place] | InputError:
        shape, fit = self._card.shape, self._card.fit
        try:
            return files.decode_placed(upload.content, upload.name, shape, fit)
        except InputError as error:
            # The caught error is not returned: its frames hold the picture, in a cycle.
            return InputError(str(error))

    def _result(
        self,
        upload: uploads.Upload,
        image: np.ndarray,
        place: fitting.Place,
        verdict: Verdict,
    ) -> dict:
        if not np.isfinite(verdict.score):
            why = f"{upload.name} got no finite score from the model"
            return {"name": upload.name, "error": why}
        decisions = {None: None, True: "anomalous", False: "normal"}
        result = {
            "name": upload.name,
            "score": verdict.score,
            "decision": decisions[verdict.anomalous],
            "threshold": self._card.threshold,
            "percentile": verdict.percentile,
            "p_value": verdict.p_value,
        }
        if verdict.heatmap is not None:
            inner = place.lies.slices  # Without padding.
            result["heatmap"] = _overlay(image[inner], verdict.heatmap[inner])
        return result


def _facts(card: Card) -> dict:
    """Answer of `GET /model`: the card, with a histogram of its normals' scores."""
    counts, edges = np.histogram(card.normals, BINS) if card.normals else ([], [])
    return {
        "method": card.method,
        "trained_on": card.trained_on,
        "size": card.size,
        "channels": card.channels,
        "fit": card.fit,
        "normals": len(card.normals),
        "histogram": {
            "edges": [float(edge) for edge in edges],
            "counts": [int(count) for count in counts],
        },
        "false_positive_rate": card.false_positive_rate,
        "threshold": card.threshold,
        "version": card.version,
        "commit": card.commit,
    }


def _overlay(image: np.ndarray, heatmap: np.ndarray) -> str:
    """Address (data URL) of a PNG file: a heatmap, on its own scale, over its image."""
    from PIL import Image

    heatmap = np.nan_to_num(heatmap, posinf=0.0)
    picture = np.broadcast_to(image / 255, (*image.shape[:2], 3))
    drawn = overlay(picture[None], heatmap[None], float(heatmap.max()))[0]
    buffer = io.BytesIO()
    Image.fromarray(np.uint8(np.rint(drawn * 255))).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


async def _in_one_line(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = guard.line(error.status_code, error.detail)
    response.headers.update(error.headers or {})
    return response
