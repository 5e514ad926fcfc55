"""Films: animated PNGs, which a notebook shows as it shows any picture, and which stand still on paper."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from course_lib import checks
from course_lib.show.figures import as_png, show_png, smallest_letter

MOST_BYTES = 250_000
PALETTES = (256, 128, 64, 32, 16)


def film(frames: Sequence[Figure | np.ndarray], alt: str, seconds: float = 4.0, hold: float = 2.0) -> None:
    """Show frames one after the other, again and again; where nothing moves, as on paper, stands the last one.

    frames: figures, which are closed, or arrays (height, width, 3) of 8 bit, all of one size. seconds: from the first
    frame to the last, which then stays for `hold` seconds. alt: what one sees happen. Raises ValueError for a film of
    more than 250 KB, fewer than two frames, or a text too short.
    """
    _check_times(seconds, hold)
    if not isinstance(frames, Sequence):
        raise ValueError(f"frames must be a list of figures or arrays; got {checks.shown(frames)}")
    figures = [frame for frame in frames if isinstance(frame, Figure)]
    png = animated_png([_pixels(frame) for frame in frames], seconds, hold)
    letter = min((smallest_letter(fig) for fig in figures), default=float("inf"))
    show_png(png, alt, facts={"letter": round(float(letter), 1)} if np.isfinite(letter) else {})


def animated_png(frames: Sequence[np.ndarray], seconds: float, hold: float) -> bytes:
    """The film of `film` as bytes, the same ones each time, in as many of 256 … 16 colours as 250 KB allow."""
    _check_times(seconds, hold)
    sizes = {frame.shape for frame in frames}
    if len(frames) < 2 or len(sizes) > 1:
        raise ValueError(f"a film needs two frames or more, all of one size; got {len(frames)} of {sorted(sizes)}")
    for colours in PALETTES:
        png = _encoded(frames, colours, [round(1000 * seconds / len(frames))] * (len(frames) - 1), round(1000 * hold))
        if len(png) <= MOST_BYTES:
            return png
    raise ValueError(
        f"the film has {len(png) / 1000:.0f} KB even in {PALETTES[-1]} colours, and may have {MOST_BYTES // 1000}: "
        "take fewer frames, smaller figures, or less noise and shading"
    )


def _check_times(seconds: float, hold: float) -> None:
    """Raises ValueError for times that no film takes; a PNG's longest frame is 65 s."""
    checks.number("seconds", seconds, 0, 65, beyond=True)
    checks.number("hold", hold, 0, 65)


def _encoded(frames: Sequence[np.ndarray], colours: int, durations: list[int], hold: int) -> bytes:
    chosen = np.concatenate([frames[i] for i in (0, len(frames) // 2, -1)])
    palette = Image.fromarray(chosen).quantize(colours, Image.Quantize.MEDIANCUT)
    entries = np.array(palette.getpalette()).reshape(-1, 3)
    entries[(entries >= 248).all(axis=1)] = 255  # the median cut's white is a little grey
    palette.putpalette(entries.flatten().tolist())
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    images[-1].save(
        buffer, format="PNG", save_all=True, append_images=images, default_image=True, loop=0,
        duration=[*durations, hold], optimize=True,
    )  # fmt: skip
    return buffer.getvalue()


def _pixels(frame: Figure | np.ndarray) -> np.ndarray:
    if isinstance(frame, Figure):
        return np.asarray(Image.open(io.BytesIO(as_png(frame))).convert("RGB"))
    if not isinstance(frame, np.ndarray):
        raise ValueError(f"a frame must be a figure or an array (height, width, 3); got {checks.shown(frame)}")
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise ValueError(f"a frame must be (height, width, 3) of 8 bit; got {frame.shape} of {frame.dtype}")
    return frame
