"""Explanations of predicted pictures, written beside the other results."""

from collections.abc import Callable

from src.config.errors import InputError, UserError
from src.inference.explain import Explainer, PointXY, choose_points
from src.inference.explanation_picture import draw_explanation
from src.inference.outputs import EXPLAIN, Prediction, ResultFolder
from src.inference.predictor import Predictor
from src.inference.segmenter import PicturePredictor


def explanation_writer(
    predictor: PicturePredictor, results: ResultFolder, point: PointXY | None = None
) -> Callable[[str, Prediction], None]:
    """Return a function that writes FOLDER/explain/NAME.png of a picture's name and prediction, or raises InputError where it cannot.

    Args:
        predictor: its network has an OCR head.
        results: where.
        point: column and row of the pixel whose context is shown; None: one in each of the largest parts.

    Raises:
        UserError: if the network has another head.
    """
    assert isinstance(predictor, Predictor), "entry scripts refuse a MindIR, whose network is hidden"
    explainer = Explainer(predictor)

    def write(name: str, item: Prediction) -> None:
        points = [point] if point else choose_points(item.labels)
        try:
            explanation = explainer(item.image)
            for chosen in points:
                explanation.check(chosen)
        except UserError as error:
            raise InputError(str(error)) from error
        draw_explanation(results.new_path(EXPLAIN, name), item.image, item.labels, explanation, points, results.info)

    return write
