"""Functions that the model may call, as docs/structured-outputs.md of 0.1 has them."""

from typing import Literal

from arkor_tui.training.tools import tool

ORDERS = {"4711": "shipped on Monday"}


@tool
def get_order(order_id: str) -> str:
    """Look an order up.

    Args:
        order_id: The number on the invoice.
    """
    return ORDERS.get(order_id, f"{order_id} was shipped")


@tool
async def convert(amount: float, to: Literal["EUR", "USD"] = "EUR") -> dict[str, object]:
    """Convert an amount of pounds."""
    return {"amount": round(amount * 1.17, 2), "currency": to}
