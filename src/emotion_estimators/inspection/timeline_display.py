"""The rows of a video in, a figure of emotions over time out; draws with matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.inspection._axes import open_axes
from emotion_estimators.inspection.draw_faces import CLASS_COLORS

__all__ = ["TimelineDisplay"]

_BAND = 0.85  # of the height for each track
_INCHES = 0.6  # for each track
_MOST_INCHES = 20.0
_LONGEST_GAP = 2.5  # usual distances of frames: a longer one stays empty


class TimelineDisplay:
    """Emotions over time: a band for each track, in which the probabilities lie on each other.

    It is recommended to use :meth:`from_predictions` to create one.

    Parameters
    ----------
    tracks : dict of int to (float64 array of shape (n,), float64 array of shape (n, n_classes))
        For each track the times of its frames in seconds, rising, and the probabilities.
    classes : list of str
        Names of the classes.
    frame_distance : float
        Seconds from one frame that was looked at to the next. What is missing for longer than
        2.5 times this stays empty.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Set by :meth:`plot`.
    ax_ : matplotlib Axes
        Set by :meth:`plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators import FaceCropper
    >>> from emotion_estimators.analysis import iterate_video
    >>> from emotion_estimators.inspection import TimelineDisplay
    >>> frames = [np.full((60, 80, 3), grey, np.uint8) for grey in range(100, 110)]
    >>> cropper = FaceCropper(detector=lambda frame: [[10, 10, 30, 30]])
    >>> rows = [row for rows in iterate_video(frames, cropper=cropper) for row in rows]
    >>> display = TimelineDisplay.from_predictions(rows)
    >>> display.tracks[0][1].shape
    (10, 7)
    """

    def __init__(
        self,
        *,
        tracks: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]],
        classes: list[str],
        frame_distance: float,
    ) -> None:
        self.tracks = tracks
        self.classes = classes
        self.frame_distance = frame_distance

    @classmethod
    def from_predictions(
        cls, table: Any, *, smoothed: bool = True, ax: Any = None
    ) -> TimelineDisplay:
        """Draw the table of a video.

        Parameters
        ----------
        table : pandas.DataFrame or list of dict
            The table. What `~emotion_estimators.analysis.analyze_video` returns, or the rows that
            `~emotion_estimators.analysis.iterate_video` yields, of one video. Rows without a
            face are passed over.
        smoothed : bool, default=True
            Whether to draw the smoothed probabilities, or those of each frame.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : TimelineDisplay

        Raises
        ------
        ValueError
            If the table lacks columns, or is of several videos.
        MissingDependencyError
            If matplotlib is not installed.
        """
        rows = table.to_dict("records") if hasattr(table, "to_dict") else list(table)
        prefix = "smoothed_" if smoothed else "emotion_"
        names = list(table.columns) if hasattr(table, "columns") else list(rows[0] if rows else ())
        columns = [name for name in names if name.startswith(prefix)]
        missing = {"time", "track", "status", "image"} - set(names)
        if names and (missing or not columns):
            raise ValueError(
                f"{cls.__name__} expected the table of a video, as analyze_video makes it; "
                f"{', '.join(sorted(missing) or [f'{prefix}...'])} is missing."
            )
        images = {row["image"] for row in rows if isinstance(row["image"], str)}
        if len(images) > 1:
            raise ValueError(
                f"{cls.__name__} expected the table of one video, got those of {len(images)}. "
                'Take table[table["image"] == name].'
            )
        times = {row["time"] for row in rows if row["status"] != "unreadable"}
        distances = np.diff(sorted(times))
        display = cls(
            tracks=_split(rows, columns),
            classes=[name.removeprefix(prefix) for name in columns],
            frame_distance=float(np.median(distances)) if len(distances) else 0.0,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> TimelineDisplay:
        """Draw the bands.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : TimelineDisplay
            This object, with `figure_` and `ax_`.

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.
        """
        height = min(1.6 + _INCHES * len(self.tracks), _MOST_INCHES)
        ax = open_axes(type(self).__name__, ax, figsize=(9, height))
        from matplotlib.patches import Patch

        colors = [CLASS_COLORS[i % len(CLASS_COLORS)] for i in range(len(self.classes))]
        for place, (times, probabilities) in enumerate(self.tracks.values()):
            # bands have height 1 at -place, the first one on top
            edges = np.cumsum(probabilities, axis=1) / probabilities.sum(axis=1, keepdims=True)
            edges = (np.insert(edges, 0, 0, axis=1) - 0.5) * _BAND - place
            steps, levels = self._steps(times, edges)
            for i, color in enumerate(colors):
                low, high = levels[:, i], levels[:, i + 1]
                ax.fill_between(steps, low, high, color=color, linewidth=0)
        handles = [Patch(color=color) for color in colors]
        ax.legend(
            handles, self.classes, loc="lower left", bbox_to_anchor=(0, 1), ncols=7, frameon=False
        )
        ax.set_yticks(-np.arange(len(self.tracks)), [f"track {number}" for number in self.tracks])
        ax.set_ylim(-len(self.tracks) + 0.5 - (not self.tracks), 0.5)
        ax.set_xlabel("seconds")
        self.figure_, self.ax_ = ax.figure, ax
        return self

    def _steps(
        self, times: NDArray[np.float64], edges: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return each frame's beginning and end and its edges at both; NaN where it is empty.

        `times` (n,), `edges` (n, n_classes + 1); returns (3 n,), (3 n, n_classes + 1).
        """
        distance = self.frame_distance or 1.0
        gaps = np.diff(times, append=np.inf)
        ends = np.where(gaps <= _LONGEST_GAP * distance, times + gaps, times + distance)
        steps = np.stack([times, ends, ends], axis=1).ravel()
        levels = np.repeat(edges, 3, axis=0)
        levels[2::3][gaps > _LONGEST_GAP * distance] = np.nan
        return steps, levels


def _split(
    rows: list[dict[str, Any]], columns: list[str]
) -> dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return times (n,) and probabilities (n, n_classes) of each track, by its number."""
    of_tracks: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        if row["status"] == "face":
            of_tracks.setdefault(int(row["track"]), []).append(row)
    return {
        number: (
            np.array([row["time"] for row in of_tracks[number]], np.float64),
            np.array([[row[name] for name in columns] for row in of_tracks[number]], np.float64),
        )
        for number in sorted(of_tracks)
    }
