import pytest
from collected import each

from ocjax.data import words

GOOD = """
good Good GOOD normal Normals OK ok okay fine pass passed defect-free defect_free
DefectFree defectfree nondefective non-defective NonDefective no_defect no-defects
not_defective anomaly_free healthy clean 0.normal 01_good good_parts OK1
without_defects nofault not_bad flawless undamaged faultless no_fault_found
good.images
"""
BAD = """
bad BAD defect defects Defective anomaly anomalies anomalous Abnormal abnormals
abnormalities ng NG nok NOK not_ok NotOK notok not-good no_good non_normal nonnormal
fault faulty faults reject rejected broken broken_large fail failed scrap ko KO
1.abnormal bad1 bad_parts n.ok surface_defects def_front defects_20 unhealthy
damaged outliers anomalie
"""
PARTS = {
    "train": "train Train TRAIN training train2017 train_good train-images TrainSet",
    "test": "test Test tests test_good bad_test testing test.data",
    "validation": "val valid validation Validation_set",
    "masks": "ground_truth GroundTruth ground-truth masks gt GT_masks bad_masks",
    "unclear": "Positive negative neg pos",
}
NOTHING = """
monday cam1 good_lighting normal_view dental photo nook passenger okinawa badge
failover with_mask images part1 bottle normalmap regularization 0 2024-05-01 _
"""


@pytest.mark.parametrize("said, names", [("good", GOOD), ("bad", BAD), *PARTS.items()])
def test_a_name_says_what_it_holds_in_any_case_and_spelling(said, names):
    assert {n: words.meaning(n) for n in names.split()} == dict.fromkeys(
        names.split(), said
    )


@each("name", NOTHING.split())
def test_other_names_say_nothing(name):
    assert words.meaning(name) is None


def test_one_word_for_bad_is_enough_unless_all_are_asked_for():
    assert words.meaning("defect_detection") == "bad"
    assert words.meaning("defect_detection", strictly=True) is None
    assert words.meaning("defect_images", strictly=True) == "bad"
    assert words.meaning("Ground_Truth", strictly=True) == "masks"
    for name in ("test_good", "test 1", "test_images"):
        assert words.meaning(name) == "test"
        assert words.meaning(name, strictly=True) is None
    assert words.has_good("ok_front") and not words.has_good("not_ok_front")
    assert not words.has_good("good_and_bad")


def test_a_name_of_neutral_words_alone_is_empty():
    assert words.is_empty("images") and words.is_empty("Part 1")
    assert not words.is_empty("good_images") and not words.is_empty("0")
