"""What a run's outcome looks like to people: a table, a picture, a page, and a threshold that it must keep.

Nothing here measures.  Whatever could not be measured is said in words; a dash stands nowhere.
"""

from loadtest.report.page import Opening, write_html
from loadtest.report.picture import DrawingImpossible, write_png
from loadtest.report.table import describe
from loadtest.report.threshold import Threshold, ThresholdMalformed, parse_threshold

__all__ = [
    "DrawingImpossible",
    "Opening",
    "Threshold",
    "ThresholdMalformed",
    "describe",
    "parse_threshold",
    "write_html",
    "write_png",
]
