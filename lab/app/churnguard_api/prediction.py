"""The churn model of the sample: the same customer always gets the same score. No I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

#: Weights of a logistic model: long tenure keeps customers, high charges and many tickets drive them away.
INTERCEPT, TENURE, CHARGES, TICKETS = -0.4, -0.035, 0.011, 0.28


def churn_probability(customer: Mapping[str, Any]) -> float:
    """The probability (0 to 1, four digits) that a customer leaves, from a row of the table customers."""
    weighted = (
        INTERCEPT
        + TENURE * float(customer["tenure_months"])
        + CHARGES * float(customer["monthly_charges"])
        + TICKETS * float(customer["support_tickets"])
    )
    # The logistic function in a form that cannot overflow.
    return round(0.5 * (1 + math.tanh(weighted / 2)), 4)


def risk_level(probability: float, medium: float, high: float) -> str:
    """low, medium or high, by the scores from which on a customer counts as such."""
    if probability >= high:
        return "high"
    return "medium" if probability >= medium else "low"
