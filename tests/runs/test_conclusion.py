import dataclasses

import pytest
from summaries import JUDGEMENT, SUMMARY, judged

from ocjax.runs import conclusion


@pytest.mark.parametrize(
    "changes, line",
    [
        (
            {},
            "AUROC 0.976 (0.960 to 0.989); 187 of 192 anomalies found; 3 of 60 good "
            "pictures called anomalous (promised 5 %)",
        ),
        (
            {"measures": None, "anomalies": 0},
            "No anomalous pictures to judge by; 3 of 60 good pictures called anomalous "
            "(promised 5 %)",
        ),
        (
            {"decisions": None},
            "AUROC 0.976 (0.960 to 0.989); no threshold to decide by",
        ),
        (
            {"promised_false_positive_rate": None, "anomalies": 0},
            "AUROC 0.976 (0.960 to 0.989); 3 of 60 good pictures called anomalous",
        ),
    ],
)
def test_a_result_is_said_in_plain_words(changes, line):
    assert conclusion.line(dataclasses.replace(JUDGEMENT, **changes)) == line
    simple = "Simple scores on the same pictures: loudness 0.625"
    assert conclusion.lines(judged(**changes)) == [line, simple, "Warning: Look."]


def test_no_warnings_and_no_simple_scores_are_no_lines():
    quiet = dataclasses.replace(SUMMARY, warnings=(), baselines={})
    assert len(conclusion.lines(quiet)) == 1
