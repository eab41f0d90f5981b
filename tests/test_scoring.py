"""Metrics against figures worked by hand, and scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphcnn.errors import EvaluationError
from graphcnn.scoring import (
    Regression,
    class_probabilities,
    compare,
    evaluate,
    evaluate_best,
    evaluate_scores,
    evaluate_targets,
    score_kind,
)

SCORES = np.array(
    [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.5, 0.25, 0.25], [0.25, 0.5, 0.25]], np.float32
)
LABELS = np.array([0, 0, 1, 1])


class TestScores:
    def test_worked_by_hand(self) -> None:
        found = evaluate_scores(SCORES, LABELS, ["a", "b", "c"])
        assert (found.samples, found.kind, found.accuracy) == (4, "probabilities", 0.5)
        assert found.classes == ("a", "b", "c")
        assert found.loss == pytest.approx((2 * math.log(2) + 2 * math.log(4)) / 4)
        assert found.confusion.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
        assert found.confusion.dtype == np.int64
        assert found.support.tolist() == [2, 2, 0]
        np.testing.assert_array_equal(found.precision, [0.5, 0.5, math.nan])
        np.testing.assert_array_equal(found.recall, [0.5, 0.5, math.nan])

    def test_rows_of_the_confusion_matrix_are_true_classes(self) -> None:
        found = evaluate_scores(np.eye(3)[[2, 2, 1]], np.array([0, 2, 1]))
        assert found.confusion.tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 1]]
        assert found.precision.tolist()[1:] == [1, 0.5]
        assert found.recall.tolist() == [0, 1, 1]

    @given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.booleans())
    def test_as_scikit_learn(self, seed: int, classes: int, logits: bool) -> None:
        from sklearn import metrics

        rng = np.random.default_rng(seed)
        labels = rng.integers(0, classes, 60)
        scores = rng.normal(size=(60, classes)).astype(np.float32)
        rows = class_probabilities(scores)
        found = evaluate_scores(scores if logits else rows, labels)
        predicted, known = scores.argmax(axis=1), {"labels": range(classes)}
        assert found.kind == ("logits" if logits else "probabilities")
        assert found.loss == pytest.approx(metrics.log_loss(labels, rows, **known), rel=1e-5)
        assert found.accuracy == metrics.accuracy_score(labels, predicted)
        expected = metrics.precision_recall_fscore_support(
            labels, predicted, zero_division=np.nan, **known
        )
        for mine, theirs in zip((found.precision, found.recall), expected, strict=False):
            np.testing.assert_allclose(mine, theirs)
        confusion = metrics.confusion_matrix(labels, predicted, **known)
        np.testing.assert_array_equal(found.confusion, confusion)

    def test_a_probability_of_zero_has_a_finite_loss(self) -> None:
        found = evaluate_scores(np.array([[1.0, 0.0]], np.float32), np.array([1]))
        assert found.loss == pytest.approx(-math.log(1e-7))

    def test_large_logits_have_a_finite_loss(self) -> None:
        found = evaluate_scores(np.array([[1e4, -1e4, 0]], np.float32), np.array([1]))
        assert (found.kind, found.loss) == ("logits", 20_000)

    def test_half_precision(self) -> None:
        rows = class_probabilities(np.random.default_rng(0).normal(size=(9, 10)))
        found = evaluate_scores(rows.astype(np.float16), np.arange(9))
        assert found.kind == "probabilities"
        assert found.loss == pytest.approx(evaluate_scores(rows, np.arange(9)).loss, rel=1e-3)

    def test_labels_of_few_bits_do_not_overflow(self) -> None:
        labels = np.arange(200).astype(np.uint8)
        assert evaluate_scores(np.eye(200), labels).accuracy == 1

    @pytest.mark.parametrize("logits", [False, True])
    def test_one_column_is_two_classes(self, logits: bool) -> None:
        z = np.array([[-2.0], [0.5], [3.0]])
        p = 1 / (1 + np.exp(-z))
        found = evaluate_scores(z if logits else p, np.array([0, 0, 1]), ["no", "yes"])
        assert found.kind == ("logits" if logits else "probabilities")
        assert found.loss == pytest.approx(-np.log([1 - p[0], 1 - p[1], p[2]]).mean())
        assert found.confusion.tolist() == [[1, 1], [0, 1]]
        np.testing.assert_allclose(class_probabilities(z), np.hstack([1 - p, p]))

    def test_a_sigmoid_at_the_threshold_is_the_first_class(self) -> None:
        assert evaluate_scores(np.array([[0.5]]), np.array([0])).accuracy == 1

    @pytest.mark.parametrize(
        ("scores", "kind"),
        [
            ([[0.5, 0.5]], "probabilities"),
            ([[0.5, 0.5005]], "probabilities"),
            ([[0.5, 0.51]], "logits"),
            ([[1.5, -0.5]], "logits"),
            ([[0.2]], "probabilities"),
            ([[1.2]], "logits"),
        ],
    )
    def test_what_scores_are(self, scores: list[list[float]], kind: str) -> None:
        assert score_kind(np.array(scores)) == kind

    @pytest.mark.parametrize(
        ("scores", "labels", "classes", "message"),
        [
            (SCORES, LABELS[:3], "", "4 predictions for 3 samples"),
            (SCORES[:0], LABELS[:0], "", "no samples"),
            (SCORES, LABELS + 2, "", "3 classes, and there is a label 3"),
            (SCORES, LABELS - 1, "", "a label -1"),
            (SCORES, LABELS, "ab", "scores for 3 classes, and the data have 2"),
            (SCORES[:, :1], LABELS + 1, "", "2 classes, and there is a label 2"),
            (SCORES[:, :, None], LABELS, "", "gives 3x1 numbers a sample"),
            (SCORES[:, 0], LABELS, "", "gives one number a sample"),
            (SCORES * [[1], [math.nan], [1], [math.inf]], LABELS, "", "2 of 4 .* sample 1"),
        ],
    )
    def test_what_does_not_fit(
        self, scores: np.ndarray, labels: np.ndarray, classes: str, message: str
    ) -> None:
        with pytest.raises(EvaluationError, match=message):
            evaluate_scores(scores, labels, classes)


class TestTargets:
    def test_worked_by_hand(self) -> None:
        outputs = np.array([[[1.0], [2.0]], [[3.0], [4.0]]], np.float32)
        found = evaluate(outputs, outputs + np.float32([[[1], [0]], [[-3], [0]]]))
        assert found == Regression(2, 2.5, 1.0)

    def test_one_number_a_sample_is_not_broadcast(self) -> None:
        found = evaluate_targets(np.array([[1.0], [2.0]]), np.array([1.0, 2.0]))
        assert found == Regression(2, 0, 0)

    def test_another_shape(self) -> None:
        with pytest.raises(EvaluationError, match="2 numbers a sample, and the targets are 3"):
            evaluate_targets(np.zeros((4, 2)), np.zeros((4, 3)))

    def test_not_finite(self) -> None:
        with pytest.raises(EvaluationError, match="1 of 2 predictions are not finite"):
            evaluate_targets(np.array([[1], [math.inf]]), np.zeros((2, 1)))


class TestAgreement:
    def test_scores(self) -> None:
        other = SCORES.copy()
        other[2] = [0.125, 0.5, 0.375]
        found = compare(SCORES, other, LABELS)
        assert (found.samples, found.differing.tolist()) == (4, [2])
        assert found.largest_difference == pytest.approx(0.375)

    def test_logits_differ_by_their_probabilities(self) -> None:
        found = compare(np.array([[0.0, 100]]), np.array([[0.0, 200]]), np.array([1]))
        assert (len(found.differing), found.largest_difference < 1e-9) == (0, True)

    def test_outputs(self) -> None:
        outputs = np.ones((3, 2, 2))
        other = outputs + np.array([0, 5e-5, 5e-4])[:, None, None]
        found = compare(outputs, other, np.zeros((3, 2, 2)))
        assert found.differing.tolist() == [2]
        assert found.largest_difference == pytest.approx(5e-4)

    def test_other_shapes(self) -> None:
        with pytest.raises(EvaluationError, match=r"\[4, 3\] and the other \[4, 2\]"):
            compare(SCORES, SCORES[:, :2], LABELS)

    def test_not_finite(self) -> None:
        with pytest.raises(EvaluationError, match="not finite"):
            compare(SCORES, SCORES * np.nan, LABELS)


class TestBest:
    @pytest.mark.parametrize(
        ("best", "label", "classes", "message"),
        [
            (2_000_000, 0, "", "gives class 2,000,000, and there are at most 10,000"),
            (2**62, 0, "", "and there are at most 10,000"),
            (-1, 0, "", "gives class -1, and there are at most"),
            (-1, 0, "ab", "gives class -1, and there are 2"),
            (2, 0, "ab", "gives class 2, and there are 2"),
            (1, 2_000_000, "", "there is a label 2000000"),
            (1, -1, "", "there is a label -1"),
            (1, 2, "ab", "2 classes, and there is a label 2"),
        ],
    )
    def test_what_is_no_class(self, best: int, label: int, classes: str, message: str) -> None:
        with pytest.raises(EvaluationError, match=message):
            evaluate_best(np.array([[0, 1], [1, best]]), np.array([0, label]), classes)

    def test_the_last_class_of_the_most(self) -> None:
        found = evaluate_best(np.array([[0], [999]]), np.array([0, 0]))
        assert (len(found.classes), found.accuracy) == (1000, 0.5)
