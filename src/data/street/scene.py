"""Invent a street: what stands where, in metres, and paint it from back to front."""

from collections.abc import Callable

import numpy as np

from src.data.street.canvas import Camera, Canvas, Color, Weather, paint_sky
from src.data.street.objects import (
    Painting,
    paint_building,
    paint_bus,
    paint_car,
    paint_fence,
    paint_lamp,
    paint_person,
    paint_sign,
    paint_traffic_light,
    paint_tree,
    paint_wall,
)

FAR = 90.0  # metres to the end of the street


def paint_street(size_hw: tuple[int, int], rng: np.random.Generator) -> Canvas:
    """Return a painted street with its label polygons; all of it is drawn from `rng`."""
    height, width = size_hw
    center = (width * rng.uniform(0.42, 0.58), height * rng.uniform(0.40, 0.50))
    camera = Camera(focal=0.85 * width, center_xy=center, height=rng.uniform(1.35, 1.75))
    canvas = Canvas(size_hw, camera, draw_weather(rng))
    paint_sky(canvas, rng)
    edges = _Edges(rng)
    _paint_skyline(canvas, rng)
    _paint_ground(canvas, edges, rng)
    fenced_side = rng.choice((-1, 1))
    # Houses and gardens first: nothing that stands on road or pavement can be behind those of its own side.
    for things in (
        [thing for side in (-1, 1) for thing in _side(edges, side, side == fenced_side, rng)],
        _furniture(edges, rng) + _traffic(edges, rng) + _people(edges, rng),
    ):
        for _, paint in sorted(things, key=lambda thing: -thing[0]):
            paint(canvas, rng)
    return canvas


def draw_weather(rng: np.random.Generator) -> Weather:
    """Return sunny, overcast or evening light."""
    kind = rng.choice(3, p=(0.45, 0.35, 0.2))
    tops: list[Color] = [(88, 138, 205), (150, 160, 172), (96, 96, 140)]
    lows: list[Color] = [(190, 212, 232), (205, 208, 210), (236, 186, 140)]
    tints: list[Color] = [(1.06, 1.02, 0.95), (0.92, 0.95, 1.0), (1.02, 0.86, 0.72)]
    light = rng.uniform(0.85, 1.1)
    top, low, tint = (tuple(float(v) for v in np.array(table[kind]) * light) for table in (tops, lows, tints))
    return Weather(
        sky_top=top,  # type: ignore[arg-type]
        sky_low=low,  # type: ignore[arg-type]
        tint=tint,  # type: ignore[arg-type]
        sun_side=int(rng.choice((-1, 1))),
        shadow=(0.55, 0.85, 0.65)[kind],
        clouds=(rng.uniform(0.1, 0.4), rng.uniform(0.5, 0.8), rng.uniform(0.2, 0.5))[kind],
        haze_metres=rng.uniform(130, 260),
    )


class _Edges:
    """Where road, grass verges and pavements end on either side, metres to the right of the camera."""

    def __init__(self, rng: np.random.Generator):
        self.curb = {-1: -rng.uniform(4.2, 5.6), 1: rng.uniform(2.6, 3.6)}
        self.verge = {side: self.curb[side] + side * rng.uniform(0.7, 1.5) for side in (-1, 1)}
        self.walk = {side: self.verge[side] + side * rng.uniform(2.0, 3.0) for side in (-1, 1)}
        self.lane = (self.curb[-1] + self.curb[1]) / 2


def _ground(canvas: Canvas, x0: float, x1: float, z0: float, z1: float) -> np.ndarray:
    return canvas.camera.project(np.array([(x0, 0, z0), (x1, 0, z0), (x1, 0, z1), (x0, 0, z1)]))


def _paint_skyline(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint houses and trees where the street ends."""
    x = -75.0
    while x < 75:
        width, top = rng.uniform(8, 16), rng.uniform(5, 15)
        corners = np.array([(x, 0, FAR + 8), (x + width, 0, FAR + 8), (x + width, top, FAR + 8), (x, top, FAR + 8)])
        grey = rng.uniform(110, 170)
        is_tree = rng.random() < 0.35
        color = (70.0, 95.0, 60.0) if is_tree else (grey, grey * 0.95, grey * 0.9)
        canvas.add("vegetation" if is_tree else "building", canvas.camera.project(corners), color, FAR + 8)
        x += width * 0.95


def _paint_ground(canvas: Canvas, edges: _Edges, rng: np.random.Generator) -> None:
    green = (rng.uniform(85, 125), rng.uniform(120, 150), rng.uniform(55, 80))
    canvas.add("terrain", _ground(canvas, -400, 400, 1.5, FAR + 10), green, 15)
    grey = rng.uniform(145, 185)
    for side in (-1, 1):
        canvas.add("sidewalk", _ground(canvas, edges.verge[side], edges.walk[side], 1.5, FAR), (grey, grey * 0.96, grey * 0.93), 12)
        for z in np.arange(5, 40, 1.6):
            joint = canvas.camera.project(np.array([(edges.verge[side], 0, z), (edges.walk[side], 0, z)]))
            canvas.line(joint, (grey * 0.72,) * 3, z, canvas.camera.pixels(0.03, z))
    asphalt = rng.uniform(72, 108)
    canvas.add("road", _ground(canvas, edges.curb[-1], edges.curb[1], 1.5, FAR), (asphalt, asphalt, asphalt * 1.04), 10)
    for z, x in zip(rng.uniform(6, 30, 4), rng.uniform(edges.curb[-1], edges.curb[1], 4), strict=True):  # patches of newer asphalt
        canvas.detail(_ground(canvas, x - 0.8, x + 0.8, z, z * 1.25), (asphalt * 0.86,) * 3, z)
    for side in (-1, 1):
        curb = edges.curb[side]
        canvas.detail(_ground(canvas, curb, curb + side * 0.22, 1.5, FAR), (195, 192, 186), 15)
        canvas.detail(_ground(canvas, curb - side * 0.55, curb - side * 0.43, 1.5, FAR), (205, 205, 200), 15)
    for z in np.arange(rng.uniform(2, 6), FAR, 6.0):
        canvas.detail(_ground(canvas, edges.lane - 0.08, edges.lane + 0.08, z, z + 3), (225, 225, 218), z)
    side = canvas.weather.sun_side
    reach = edges.curb[side] - side * rng.uniform(0.5, 3.5)
    for z in np.arange(4, 60, 14.0):
        if rng.random() < 0.7:
            canvas.shade(_ground(canvas, reach, edges.walk[side] + side * 4, z, z + rng.uniform(7, 13)), canvas.weather.shadow)


def _side(edges: _Edges, side: int, fenced: bool, rng: np.random.Generator) -> list[tuple[float, Painting]]:
    """Return the row of houses and gardens of one side.

    The second plot is a garden, fenced on one side of the street and walled on the other, so that both are seen in every picture.
    """
    things: list[tuple[float, Painting]] = []
    z, number = rng.uniform(1.5, 5.0), 0
    while z < FAR:
        length = rng.uniform(6, 9) if number == 0 else rng.uniform(10, 17)
        is_garden = number == 1 or (number > 2 and rng.random() < 0.3)
        if is_garden:
            things += _garden(edges, side, z, z + length, fenced if number == 1 else rng.random() < 0.5, rng)
        else:
            things.append((z, paint_building(side, edges.walk[side], z, z + length)))
        z, number = z + length, number + 1
    return things


def _garden(edges: _Edges, side: int, z0: float, z1: float, fenced: bool, rng: np.random.Generator) -> list[tuple[float, Painting]]:
    x = edges.walk[side] + side * rng.uniform(0.5, 1.6)
    things = [(z0 + 0.01, (paint_fence if fenced else paint_wall)(x, z0, z1))]
    for z in np.arange(z0 + 1, z1 + 3, 2.6):
        radius = rng.uniform(1.6, 2.6)
        things.append((z + 0.5, paint_tree(x + side * (radius + rng.uniform(0.4, 1.5)), z, rng.uniform(0.3, 1.0), radius)))
    return things


def _furniture(edges: _Edges, rng: np.random.Generator) -> list[tuple[float, Painting]]:
    """Return lamps, signs, traffic lights and street trees."""
    things: list[tuple[float, Painting]] = []

    def at(side: int, low: float, high: float, make: Callable[[float, float], Painting]) -> None:
        z = rng.uniform(low, high)
        things.append((z, make(edges.curb[side] + side * rng.uniform(0.4, 0.8), z)))

    for side in (-1, 1):
        at(side, 8.5, 12, paint_sign)
        at(side, 12.5, 17, paint_traffic_light)
        for low in (18, 30, 44):
            at(side, low, low + 8, paint_lamp)
        at(side, 17, 30, paint_sign)
        for low in rng.choice((14, 24, 36, 50), 2, replace=False):
            z = rng.uniform(low, low + 8)
            things.append((z, paint_tree(edges.walk[side] - side * 0.4, z, rng.uniform(2.2, 3.2), rng.uniform(1.4, 2.2))))
    return things


def _traffic(edges: _Edges, rng: np.random.Generator) -> list[tuple[float, Painting]]:
    """Return cars ahead, oncoming and parked, and often a bus."""
    things: list[tuple[float, Painting]] = []
    own, oncoming = (edges.lane + edges.curb[1]) / 2, (edges.lane + edges.curb[-1]) / 2
    z = rng.uniform(9, 22)
    things.append((z, paint_car(own + rng.uniform(-0.3, 0.3), z, True)))
    z = rng.uniform(7, 18)
    if rng.random() < 0.7:
        things.append((z, paint_bus(oncoming - 0.2, z + 5)))
    else:
        things.append((z, paint_car(oncoming + rng.uniform(-0.3, 0.3), z, False)))
    for side in (-1, 1):
        z = rng.uniform(24, 32) if side < 0 else rng.uniform(28, 36)
        for _ in range(int(rng.integers(1, 4))):
            things.append((z, paint_car(edges.curb[side] - side * 1.0, z, side > 0)))
            z += rng.uniform(6, 10)
    return things


def _people(edges: _Edges, rng: np.random.Generator) -> list[tuple[float, Painting]]:
    """Return people on both pavements, and sometimes one who crosses."""
    things: list[tuple[float, Painting]] = []
    for side in (-1, 1):
        for z in rng.uniform(8.5, 20, int(rng.integers(2, 5))):
            x = side * rng.uniform(abs(edges.verge[side]) + 0.3, abs(edges.walk[side]) - 0.3)
            things.append((float(z), paint_person(x, float(z))))
    if rng.random() < 0.3:
        z = float(rng.uniform(12, 22))
        things.append((z, paint_person(rng.uniform(edges.curb[-1], edges.curb[1]), z)))
    return things
