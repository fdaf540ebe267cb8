"""A camera on a street, and a canvas that keeps picture and label polygons together."""

from dataclasses import dataclass, field

import cv2
import numpy as np

Color = tuple[float, float, float]

SUPERSAMPLING = 2
LIT = 128  # value of the light map that leaves colours as they are
NEAREST_METRES = 1.5  # what is nearer lies outside the picture
# How much texture each label shows: (coarse, fine) strength of the noise.
TEXTURE = {
    "road": (0.06, 0.05),
    "sidewalk": (0.05, 0.07),
    "building": (0.06, 0.04),
    "wall": (0.08, 0.10),
    "fence": (0.04, 0.05),
    "vegetation": (0.30, 0.30),
    "terrain": (0.14, 0.20),
    "bus": (0.03, 0.01),
    "car": (0.03, 0.01),
}


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks along the street.

    Attributes:
        focal: focal length, pixels.
        center_xy: where the street vanishes, pixels.
        height: of the camera over the road, metres.
    """

    focal: float
    center_xy: tuple[float, float]
    height: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return (N, 2) pixel positions x, y of (N, 3) points: right, up from the road, ahead; metres."""
        points = np.asarray(points, np.float64)
        depth = np.maximum(points[:, 2], NEAREST_METRES)
        x = self.center_xy[0] + self.focal * points[:, 0] / depth
        y = self.center_xy[1] + self.focal * (self.height - points[:, 1]) / depth
        return np.stack([x, y], axis=1)

    def pixels(self, metres: float, depth: float) -> float:
        """Return how large a length looks at a distance."""
        return self.focal * metres / max(depth, NEAREST_METRES)


@dataclass(frozen=True)
class Weather:
    """Light and air of a picture.

    Attributes:
        sky_top: RGB of the sky overhead, 0..255.
        sky_low: RGB at the horizon; far things fade into it.
        tint: RGB factors of all daylight.
        sun_side: -1 where the left side of the street faces the sun, 1 the right.
        shadow: factor of the light in shadows.
        clouds: 0..1, how much of the sky they cover.
        haze_metres: distance at which 63 % of a colour has faded.
    """

    sky_top: Color
    sky_low: Color
    tint: Color
    sun_side: int
    shadow: float
    clouds: float
    haze_metres: float


@dataclass
class Canvas:
    """A picture painted from back to front together with its label polygons.

    Attributes:
        size_hw: height and width of the finished picture, pixels.
        camera: for points in metres.
        weather: for haze.
        objects: label name and (N, 2) int32 polygon x, y in pixels, in the order of painting.
        picture: HWC uint8 RGB, `SUPERSAMPLING` times the size.
        light: HW uint8, factor of the light times `LIT`.
    """

    size_hw: tuple[int, int]
    camera: Camera
    weather: Weather
    objects: list[tuple[str, np.ndarray]] = field(default_factory=list)
    picture: np.ndarray = field(init=False)
    light: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        height, width = (side * SUPERSAMPLING for side in self.size_hw)
        self.picture = np.zeros((height, width, 3), np.uint8)
        self.light = np.full((height, width), LIT, np.uint8)

    def add(self, label: str, polygon: np.ndarray, color: Color, depth: float) -> None:
        """Paint a labelled polygon.

        Args:
            label: a name of the Cityscapes table.
            polygon: (N, 2) x, y in pixels of the finished picture.
            color: RGB, 0..255, before haze.
            depth: distance in metres, for haze.
        """
        polygon = np.rint(polygon).astype(np.int32)
        if not self._is_visible(polygon):
            return
        self.objects.append((label, polygon))
        # The pixel centres of the label lie between those of the finer picture.
        points = [polygon * SUPERSAMPLING + SUPERSAMPLING // 2]
        cv2.fillPoly(self.picture, points, self._hazed(color, depth))
        cv2.fillPoly(self.light, points, (LIT,))

    def detail(self, polygon: np.ndarray, color: Color, depth: float) -> None:
        """Paint a polygon that has no label of its own, such as a window."""
        if self._is_visible(polygon):
            cv2.fillPoly(self.picture, [self._fine(polygon)], self._hazed(color, depth), cv2.LINE_AA)

    def shade(self, polygon: np.ndarray, factor: float) -> None:
        """Darken what has been painted so far inside a polygon."""
        if self._is_visible(polygon):
            cv2.fillPoly(self.light, [self._fine(polygon)], (int(LIT * factor),))

    def line(self, points: np.ndarray, color: Color, depth: float, width: float) -> None:
        """Paint a line of `width` pixels of the finished picture, without a label."""
        thickness = max(1, round(width * SUPERSAMPLING))
        cv2.polylines(self.picture, [self._fine(points)], False, self._hazed(color, depth), thickness, cv2.LINE_AA)

    def _fine(self, polygon: np.ndarray) -> np.ndarray:
        return np.rint((np.asarray(polygon) + 0.5) * SUPERSAMPLING).astype(np.int32)

    def _is_visible(self, polygon: np.ndarray) -> bool:
        height, width = self.size_hw
        low, high = np.min(polygon, axis=0), np.max(polygon, axis=0)
        return bool(high[0] >= 0 and high[1] >= 0 and low[0] < width and low[1] < height and (high - low).max() >= 1)

    def _hazed(self, color: Color, depth: float) -> Color:
        part = 1.0 - np.exp(-depth / self.weather.haze_metres)
        channels = zip(color, self.weather.tint, self.weather.sky_low, strict=True)
        red, green, blue = (float(own * tint * (1 - part) + air * part) for own, tint, air in channels)
        return red, green, blue

    def label_names(self) -> list[str]:
        """Return the labels used, in order of first use."""
        return list(dict.fromkeys(label for label, _ in self.objects))


def rasterize(objects: list[tuple[str, np.ndarray]], size_hw: tuple[int, int], value_of: dict[str, int]) -> np.ndarray:
    """Return the label picture, HW uint8, of polygons in painting order; 0 where there is none."""
    label = np.zeros(size_hw, np.uint8)
    for name, polygon in objects:
        cv2.fillPoly(label, [np.asarray(polygon, np.int32)], (value_of[name],))
    return label


def paint_sky(canvas: Canvas, rng: np.random.Generator) -> None:
    """Fill the picture with a gradient and clouds, and label it sky down to the horizon."""
    height, width = canvas.picture.shape[:2]
    horizon = canvas.camera.center_xy[1] * SUPERSAMPLING
    part = np.clip(np.arange(height) / max(horizon, 1.0), 0, 1)[:, None, None]
    weather = canvas.weather
    sky = np.asarray(weather.sky_top) * (1 - part) + np.asarray(weather.sky_low) * part
    noise = noise_field(rng, (height // 4, width // 4), (height / 10, height / 22, height / 50))
    cover = np.clip((noise - 1.2 + 2.2 * weather.clouds) * 0.9, 0, 1)
    cover = cv2.resize(cover, (width, height))[..., None] * 0.75
    cloud = np.asarray(weather.sky_low) * 0.4 + 255 * 0.6 * np.asarray(weather.tint)
    canvas.picture[:] = np.clip(sky * (1 - cover) + cloud * cover, 0, 255).astype(np.uint8)
    bottom, right = canvas.camera.center_xy[1] + 2, canvas.size_hw[1]
    canvas.objects.append(("sky", np.rint([(0, 0), (right, 0), (right, bottom), (0, bottom)]).astype(np.int32)))


def noise_field(rng: np.random.Generator, size_hw: tuple[int, int], cells: tuple[float, ...]) -> np.ndarray:
    """Return smooth noise, HW float32 around 0 with deviation about 1: a sum of random grids with the given cell sizes in pixels."""
    height, width = size_hw
    total = np.zeros(size_hw, np.float32)
    for cell in cells:
        grid = rng.standard_normal((max(2, round(height / cell)), max(2, round(width / cell))), dtype=np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return total / np.float32(np.sqrt(len(cells)))


def develop(canvas: Canvas, label: np.ndarray, value_of: dict[str, int], rng: np.random.Generator) -> np.ndarray:
    """Return the finished picture, HWC uint8 RGB: texture, soft shadows, optics and the sensor's noise."""
    height, width = canvas.size_hw
    scale = width / 512
    picture: np.ndarray = cv2.resize(canvas.picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    coarse_of, fine_of = np.zeros(256, np.float32), np.zeros(256, np.float32)
    for name, strengths in TEXTURE.items():
        coarse_of[value_of[name]], fine_of[value_of[name]] = strengths
    coarse = cv2.LUT(label, coarse_of) * noise_field(rng, (height, width), (18 * scale, 7 * scale))
    fine = cv2.LUT(label, fine_of) * noise_field(rng, (height, width), (2.5 * scale,))
    light = cv2.GaussianBlur(cv2.resize(canvas.light, (width, height), interpolation=cv2.INTER_AREA), (0, 0), 1.2 * scale)
    gain = (1.0 + 0.6 * (coarse + fine)) * (light.astype(np.float32) / LIT) * _vignette(height, width) * np.float32(rng.uniform(0.8, 1.15))
    picture *= np.maximum(gain, 0.2)[..., None]
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.35, 0.7) * max(scale, 0.6))
    noise = rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(rng.uniform(1.5, 4.5))
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def _vignette(height: int, width: int) -> np.ndarray:
    """Return HW float32, 1 in the middle and 0.8 in the corners."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    return 1.0 - 0.1 * (x * x + y * y)
