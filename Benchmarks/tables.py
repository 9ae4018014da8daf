# SPDX-License-Identifier: Apache-2.0
"""Rows of figures as tables in Markdown."""


def cell(value):
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def table(columns, rows):
    """Lines of one table, with an empty one behind it."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return lines + ["| " + " | ".join(map(cell, row)) + " |" for row in rows] + [""]


def tables(rows):
    """One table for each kind of row: rows with the same names in the same order stand together."""
    kinds = {}
    for row in rows:
        kinds.setdefault(tuple(row), []).append(row)
    return [line for columns, alike in kinds.items() for line in table(columns, [row.values() for row in alike])]
