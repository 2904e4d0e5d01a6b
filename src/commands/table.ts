import { escapeText } from "../plan/escape.ts";

/**
 * Columns aligned by their widest cell, two spaces apart; the last one runs free. Cells are escaped,
 * so that a guest's name cannot move the cursor.
 */
export function alignColumns(rows: readonly (readonly string[])[], indent = ""): readonly string[] {
  const cells = rows.map((row) => row.map((cell) => escapeText(cell)));
  const widths: number[] = [];
  for (const row of cells) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
  return cells.map((row) => `${indent}${row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join("  ")}`.trimEnd());
}
