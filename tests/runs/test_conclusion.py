import pytest

from ocjax.runs import conclusion

SUMMARY = {
    "auroc": 0.976,
    "auroc_low": 0.96,
    "auroc_high": 0.989,
    "threshold": 1.5,
    "anomalies": 192,
    "anomalies_found": 187,
    "normals": 60,
    "false_alarms": 3,
    "promised_false_positive_rate": 0.05,
}
NO_ANOMALIES = {"auroc": None, "anomalies": 0, "anomalies_found": 0}


@pytest.mark.parametrize(
    "changes, line",
    [
        (
            {},
            "AUROC 0.976 (0.960 to 0.989); 187 of 192 anomalies found; 3 of 60 good "
            "pictures called anomalous (promised 5 %)",
        ),
        (
            NO_ANOMALIES,
            "No anomalous pictures to judge by; 3 of 60 good pictures called anomalous "
            "(promised 5 %)",
        ),
        (
            {"threshold": None, "anomalies_found": None, "false_alarms": None},
            "AUROC 0.976 (0.960 to 0.989); no threshold to decide by",
        ),
    ],
)
def test_a_result_is_said_in_plain_words(changes, line):
    assert conclusion.line(SUMMARY | changes) == line
    assert conclusion.lines(SUMMARY | changes | {"warnings": ["Look."]}) == [
        line,
        "Warning: Look.",
    ]
