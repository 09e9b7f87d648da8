"""The tool `refund`: a row of `refunds.sqlite` beside the graph, in the place of a bank."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from ragweave import Context, RagweaveError, tool


@tool(effects="external", idempotent=True, timeout="20s")
def refund(invoice: int, amount: float, reason: str, ctx: Context) -> str:
    """Pay money of an invoice back to its customer, once for each invoice.

    Args:
        invoice: The number of the invoice, InvoiceId.
        amount: In dollars, at most the Total of the invoice.
        reason: Why, in a few words.
    """
    folder = ctx.resources.folder if ctx.resources is not None else Path()
    customer, total = _billed(folder / "chinook.sqlite", invoice)
    cents = round(Decimal(str(amount)) * 100)
    if not 0 < cents <= round(total * 100):
        raise RagweaveError(f"invoice {invoice} is {total:.2f} dollars, so {amount:.2f} cannot be paid back")
    if _book(folder / "refunds.sqlite", invoice, cents, reason, ctx.key) != ctx.key:
        raise RagweaveError(f"invoice {invoice} has been paid back before")
    return f"{cents / 100:.2f} dollars for invoice {invoice} are on their way to {customer}"


def _billed(file: Path, invoice: int) -> tuple[str, Decimal]:
    """Whose invoice it is and what was paid: nothing of that is taken from the model."""
    query = (
        "SELECT FirstName || ' ' || LastName, Total FROM Invoice JOIN Customer USING (CustomerId) WHERE InvoiceId = ?"
    )
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as shop:
        row = shop.execute(query, (invoice,)).fetchone()
    if row is None:
        raise RagweaveError(f"there is no invoice {invoice}")
    return row[0], Decimal(str(row[1]))


def _book(file: Path, invoice: int, cents: int, reason: str, key: str) -> str:
    """Write the refund down unless the invoice has one; the key of the call that it was written by."""
    with closing(sqlite3.connect(file, timeout=10)) as ledger, ledger:
        ledger.execute("CREATE TABLE IF NOT EXISTS refund (invoice INTEGER PRIMARY KEY, cents INT, reason, key)")
        ledger.execute("INSERT OR IGNORE INTO refund VALUES (?, ?, ?, ?)", (invoice, cents, reason, key))
        return ledger.execute("SELECT key FROM refund WHERE invoice = ?", (invoice,)).fetchone()[0]
