"""What stands on a street: each function returns how to paint one thing, given its place in metres.

x is to the right of the camera, z ahead of it; side is -1 on the left of the road and 1 on the right.
"""

from collections.abc import Callable

import cv2
import numpy as np

from src.data.street.canvas import Canvas, Color

Painting = Callable[[Canvas, np.random.Generator], None]

WALL_COLORS = ((196, 178, 150), (176, 128, 108), (188, 186, 180), (168, 150, 128), (205, 196, 170), (150, 108, 92), (158, 164, 170))
CAR_COLORS = ((178, 30, 34), (32, 60, 140), (225, 225, 228), (40, 40, 46), (150, 154, 160), (20, 92, 92), (205, 160, 40))
CLOTHES = ((150, 34, 44), (40, 56, 110), (70, 70, 74), (190, 180, 160), (40, 90, 64), (200, 120, 40))
GLASS: Color = (58, 72, 88)


def _scaled(color: Color, factor: float) -> Color:
    red, green, blue = (min(255.0, channel * factor) for channel in color)
    return red, green, blue


def _pick(rng: np.random.Generator, colors: tuple[Color, ...]) -> Color:
    return _scaled(colors[int(rng.integers(len(colors)))], rng.uniform(0.85, 1.1))


def _upright(canvas: Canvas, x0: float, x1: float, y0: float, y1: float, z: float) -> np.ndarray:
    """Return the pixels of a rectangle that faces the camera."""
    return canvas.camera.project(np.array([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)]))


def _along(canvas: Canvas, x: float, y0: float, y1: float, z0: float, z1: float) -> np.ndarray:
    """Return the pixels of an upright rectangle that runs along the street."""
    return canvas.camera.project(np.array([(x, y0, z0), (x, y0, z1), (x, y1, z1), (x, y1, z0)]))


def _disc(canvas: Canvas, x: float, y: float, z: float, radius: float, corners: int = 16, start: float = 0.0) -> np.ndarray:
    angles = np.arange(corners) * (2 * np.pi / corners) + start
    return canvas.camera.project(np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles), np.full(corners, z)], axis=1))


def paint_building(side: int, x: float, z0: float, z1: float) -> Painting:
    """Return a house whose front runs along the pavement at x, with its gable towards the camera."""

    def paint(canvas: Canvas, rng: np.random.Generator) -> None:
        height = rng.uniform(7, 17)
        color = _scaled(_pick(rng, WALL_COLORS), 1.0 if canvas.weather.sun_side == -side else canvas.weather.shadow + 0.15)
        depth = (max(z0, 4) + z1) / 2
        canvas.add("building", _along(canvas, x, 0, height, z0, z1), color, depth)
        canvas.add("building", _upright(canvas, x, x + side * 14, 0, height, z0), _scaled(color, 0.8), z0)
        canvas.detail(_along(canvas, x, 0, 0.7, z0, z1), _scaled(color, 0.7), depth)
        canvas.detail(_along(canvas, x, height - 0.5, height, z0, z1), _scaled(color, 0.62), depth)
        _paint_windows(canvas, x, height, z0, z1, rng)

    return paint


def _paint_windows(canvas: Canvas, x: float, height: float, z0: float, z1: float, rng: np.random.Generator) -> None:
    glass = _scaled(GLASS, rng.uniform(0.7, 1.5))
    columns = max(2, int((z1 - z0) / 2.6))
    door = int(rng.integers(columns))
    for floor in range(int((height - 1) / 2.9)):
        for column in range(columns):
            left = z0 + (column + 0.28) * (z1 - z0) / columns
            right, bottom = left + 0.48 * (z1 - z0) / columns, floor * 2.9 + 1.2
            if right < 3:
                continue
            if floor == 0 and column == door:
                canvas.detail(_along(canvas, x, 0, 2.3, left, right), (92, 60, 44), left)
                continue
            canvas.detail(_along(canvas, x, bottom - 0.12, bottom + 1.62, left - 0.15, right + 0.15), (222, 218, 208), left)
            lit = (214.0, 190.0, 130.0) if rng.random() < 0.08 else _scaled(glass, rng.uniform(0.7, 1.35))
            canvas.detail(_along(canvas, x, bottom, bottom + 1.5, left, right), lit, left)


def paint_wall(x: float, z0: float, z1: float) -> Painting:
    """Return a brick garden wall."""

    def paint(canvas: Canvas, rng: np.random.Generator) -> None:
        height, color = rng.uniform(1.5, 2.1), _scaled((150, 96, 78), rng.uniform(0.8, 1.2))
        canvas.add("wall", _along(canvas, x, 0, height, z0, z1), color, z0)
        for y in np.arange(0.25, height, 0.25):
            joint = canvas.camera.project(np.array([(x, y, max(z0, 2)), (x, y, z1)]))
            canvas.line(joint, _scaled(color, 1.25), z0, 0.5 * canvas.camera.pixels(0.04, z0 + 4))
        canvas.detail(_along(canvas, x, height - 0.15, height, z0, z1), _scaled((180, 172, 165), 0.95), z0)

    return paint


def paint_fence(x: float, z0: float, z1: float) -> Painting:
    """Return a picket fence; the gaps belong to it, as in Cityscapes."""

    def paint(canvas: Canvas, rng: np.random.Generator) -> None:
        height, tone = rng.uniform(1.4, 1.8), rng.uniform(0.85, 1.15)
        canvas.add("fence", _along(canvas, x, 0, height, z0, z1), (74, 78, 62), z0)
        for z in np.arange(max(z0, 2), z1, 0.36):
            canvas.detail(_along(canvas, x, 0, height, z, z + 0.2), _scaled((208, 204, 196), tone), z)
        for y in (0.3, height - 0.3):
            canvas.detail(_along(canvas, x, y, y + 0.1, z0, z1), _scaled((190, 186, 178), tone), z0)

    return paint


def paint_tree(x: float, z: float, trunk: float, radius: float) -> Painting:
    """Return a tree, or a bush where the trunk is short (metres); Cityscapes counts trunks as vegetation."""

    def paint(canvas: Canvas, rng: np.random.Generator) -> None:
        green = (rng.uniform(48, 84), rng.uniform(84, 122), rng.uniform(34, 56))
        canvas.add("vegetation", _upright(canvas, x - 0.18, x + 0.18, 0, trunk + 0.6 * radius, z), (84, 66, 50), z)
        angles = np.arange(26) * (2 * np.pi / 26)
        reach = radius * (1 + rng.uniform(-0.16, 0.16, 26))
        y = trunk + radius
        outline = np.stack([x + reach * np.cos(angles), np.maximum(y + reach * np.sin(angles), 0), np.full(26, z)], axis=1)
        canvas.add("vegetation", canvas.camera.project(outline), green, z)
        for _ in range(14):
            angle, part = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.68)
            dx, dy = part * radius * np.cos(angle), part * radius * np.sin(angle)
            tone = 1.0 + 0.28 * dy / radius + rng.uniform(-0.2, 0.22)  # lighter towards the sky
            canvas.detail(_disc(canvas, x + dx, max(y + dy, 0.3), z, radius * rng.uniform(0.12, 0.28), 9), _scaled(green, tone), z)

    return paint


def _paint_pole(canvas: Canvas, x: float, z: float, height: float, color: Color) -> None:
    canvas.add("pole", _upright(canvas, x - 0.11, x + 0.11, 0, height, z), color, z)
    canvas.detail(_upright(canvas, x + 0.02, x + 0.09, 0, height, z), _scaled(color, 0.7), z)


def paint_lamp(x: float, z: float) -> Painting:
    """Return a street lamp; all of it is pole."""

    def paint(canvas: Canvas, rng: np.random.Generator) -> None:
        height, grey = rng.uniform(5, 7), rng.uniform(95, 140)
        _paint_pole(canvas, x, z, height, (grey, grey, grey))
        arm = -np.sign(x) * 1.3
        left, right = sorted((x, x + arm))
        head_left, head_right = sorted((x + arm * 0.6, x + arm))
        canvas.add("pole", _upright(canvas, left, right, height - 0.16, height, z), (grey, grey, grey), z)
        canvas.add("pole", _upright(canvas, head_left, head_right, height - 0.3, height - 0.1, z), (225, 222, 200), z)

    return paint


def paint_sign(x: float, z: float) -> Painting:
    """Return a traffic sign on a pole: round, triangular or square."""

    def paint(canvas: Canvas, rng: np.random.Generator) -> None:
        y, radius = rng.uniform(2.2, 2.7), rng.uniform(0.48, 0.6)
        _paint_pole(canvas, x, z, y, (150, 152, 154))
        corners, start, rim, face = (
            (18, 0.0, (200, 24, 32), (238, 238, 234)),
            (3, np.pi / 2, (200, 24, 32), (238, 238, 234)),
            (4, np.pi / 4, (240, 240, 240), (24, 72, 170)),
            (18, 0.0, (24, 72, 170), (30, 84, 190)),
        )[int(rng.integers(4))]
        canvas.add("traffic sign", _disc(canvas, x, y, z, radius, corners, start), rim, z)
        canvas.detail(_disc(canvas, x, y, z, radius * 0.7, corners, start), face, z)
        mark = (40, 40, 44) if face[0] > 200 else (240, 240, 240)
        canvas.detail(_upright(canvas, x - 0.07, x + 0.07, y - radius * 0.35, y + radius * 0.35, z), mark, z)

    return paint


def paint_traffic_light(x: float, z: float) -> Painting:
    """Return a traffic light on a pole, one of its three lamps lit."""

    def paint(canvas: Canvas, rng: np.random.Generator) -> None:
        y = rng.uniform(2.5, 3.1)
        _paint_pole(canvas, x, z, y + 0.1, (112, 114, 116))
        canvas.add("traffic light", _upright(canvas, x - 0.36, x + 0.36, y, y + 1.75, z), (26, 28, 30), z)
        lit = int(rng.integers(3))
        for number, color in enumerate(((40, 220, 90), (245, 190, 40), (245, 40, 36))):
            lamp = _disc(canvas, x, y + 0.32 + 0.55 * number, z, 0.23, 12)
            canvas.detail(lamp, color if number == lit else _scaled(color, 0.28), z)

    return paint


def paint_car(x: float, z: float, from_behind: bool) -> Painting:
    """Return a car whose near end is at z."""

    def paint(canvas: Canvas, rng: np.random.Generator) -> None:
        color, half, length = _pick(rng, CAR_COLORS), 0.92, 4.2
        inner = x - np.sign(x) * half  # the flank that faces the middle of the picture
        ground = np.array([(x - 1.1, 0, z - 0.3), (x + 1.1, 0, z - 0.3), (x + 1.1, 0, z + length), (x - 1.1, 0, z + length)])
        canvas.shade(canvas.camera.project(ground), 0.45)
        for wheel in (x - half + 0.14, x + half - 0.14):
            canvas.add("car", _upright(canvas, wheel - 0.13, wheel + 0.13, 0, 0.4, z), (24, 24, 26), z)
        canvas.add("car", _hull(_along(canvas, inner, 0.22, 0.92, z, z + length)), _scaled(color, 0.72), z)
        for offset in (0.8, length - 0.8):
            canvas.add("car", _wheel(canvas, inner, z + offset), (24, 24, 26), z)
        roof = canvas.camera.project(
            np.array([(x - 0.85, 0.88, z + 0.2), (x + 0.85, 0.88, z + 0.2), (x + 0.66, 1.46, z + 0.9), (x - 0.66, 1.46, z + 0.9)])
        )
        cabin = np.array([(inner, 0.9, z + 0.2), (inner, 0.9, z + 3.4), (inner, 1.45, z + 2.6), (inner, 1.45, z + 0.9)])
        cabin = canvas.camera.project(cabin)
        canvas.add("car", _hull(np.concatenate([cabin, roof])), _scaled(color, 0.85), z)
        canvas.detail(_hull(cabin * 0.84 + cabin.mean(axis=0) * 0.16), _scaled(GLASS, 0.8), z)
        canvas.detail(_hull(roof * 0.86 + roof.mean(axis=0) * 0.14), GLASS, z)
        canvas.add("car", _upright(canvas, x - half, x + half, 0.22, 0.92, z), color, z)
        canvas.detail(_upright(canvas, x - half, x + half, 0.22, 0.42, z), _scaled(color, 0.55), z)
        canvas.detail(_upright(canvas, x - 0.26, x + 0.26, 0.45, 0.6, z), (232, 232, 226), z)
        lamp = (210, 24, 28) if from_behind else (250, 246, 220)
        for left in (x - half + 0.04, x + half - 0.36):
            canvas.detail(_upright(canvas, left, left + 0.32, 0.62, 0.82, z), lamp, z)

    return paint


def _wheel(canvas: Canvas, x: float, z: float) -> np.ndarray:
    angles = np.arange(12) * (2 * np.pi / 12)
    return canvas.camera.project(np.stack([np.full(12, x), 0.33 + 0.33 * np.sin(angles), z + 0.33 * np.cos(angles)], axis=1))


def _hull(points: np.ndarray) -> np.ndarray:
    return cv2.convexHull(points.astype(np.float32))[:, 0]


def paint_bus(x: float, z: float) -> Painting:
    """Return an oncoming bus."""

    def paint(canvas: Canvas, rng: np.random.Generator) -> None:
        color = _scaled(((214, 170, 30), (196, 52, 40), (70, 140, 80))[int(rng.integers(3))], rng.uniform(0.9, 1.1))
        half, top, end = 1.2, 3.05, z + 10
        inner = x - np.sign(x) * half
        ground = np.array([(x - 1.4, 0, z - 0.3), (x + 1.4, 0, z - 0.3), (x + 1.4, 0, end), (x - 1.4, 0, end)])
        canvas.shade(canvas.camera.project(ground), 0.45)
        canvas.add("bus", _along(canvas, inner, 0.3, top, z, end), _scaled(color, 0.75), z)
        canvas.detail(_along(canvas, inner, 1.4, 2.6, z + 0.4, end - 0.4), _scaled(GLASS, 0.8), z)
        for offset in (1.8, 8.0):
            canvas.add("bus", _wheel(canvas, inner, z + offset) + (0, -canvas.camera.pixels(0.05, z)), (24, 24, 26), z)
        for wheel in (x - half + 0.2, x + half - 0.2):
            canvas.add("bus", _upright(canvas, wheel - 0.16, wheel + 0.16, 0, 0.4, z), (24, 24, 26), z)
        canvas.add("bus", _upright(canvas, x - half, x + half, 0.3, top, z), color, z)
        canvas.detail(_upright(canvas, x - half + 0.12, x + half - 0.12, 1.15, 2.5, z), _scaled(GLASS, 1.1), z)
        canvas.detail(_upright(canvas, x - 0.8, x + 0.8, 2.62, 2.92, z), (30, 30, 32), z)
        for left in (x - half + 0.1, x + half - 0.45):
            canvas.detail(_upright(canvas, left, left + 0.35, 0.55, 0.8, z), (250, 246, 220), z)

    return paint


def paint_person(x: float, z: float) -> Painting:
    """Return a walking person."""

    def paint(canvas: Canvas, rng: np.random.Generator) -> None:
        size, stride = rng.uniform(0.92, 1.1), rng.uniform(0.05, 0.28)
        shirt, trousers = _pick(rng, CLOTHES), _scaled(_pick(rng, CLOTHES), 0.6)
        skin = _scaled((224, 172, 140), rng.uniform(0.45, 1.05))
        ground = np.array([(x - 0.3, 0, z - 0.15), (x + 0.5, 0, z - 0.1), (x + 0.5, 0, z + 0.4), (x - 0.3, 0, z + 0.4)])
        canvas.shade(canvas.camera.project(ground), 0.6)
        for direction in (-1, 1):
            foot, hip = x + direction * stride * size, x + direction * 0.09
            leg = np.array([(foot - 0.1, 0, z), (foot + 0.1, 0, z), (hip + 0.12, 0.92 * size, z), (hip - 0.12, 0.92 * size, z)])
            canvas.add("person", canvas.camera.project(leg), _scaled(trousers, 1.0 + 0.12 * direction), z)
        body = np.array([(-0.2, 0.82), (0.2, 0.82), (0.3, 1.1), (0.27, 1.46), (0.1, 1.54), (-0.1, 1.54), (-0.27, 1.46), (-0.3, 1.1)]) * size
        canvas.add("person", canvas.camera.project(np.c_[x + body[:, 0], body[:, 1], np.full(8, z)]), shirt, z)
        canvas.add("person", _disc(canvas, x, 1.64 * size, z, 0.15 * size, 12), skin, z)
        hair = _disc(canvas, x, 1.7 * size, z, 0.14 * size, 12)
        canvas.detail(hair[:7], _scaled((70, 50, 36), rng.uniform(0.4, 1.6)), z)

    return paint
