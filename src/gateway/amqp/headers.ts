const MAX_DEPTH = 16;
const NO_HEADERS: Readonly<Record<string, unknown>> = Object.freeze(
  Object.create(null) as Record<string, unknown>,
);

/**
 * A message's header table as plain JSON values: timestamps as epoch milliseconds, decimals as numbers, bytes as
 * base64. `headers` is what amqplib made of hostile bytes: keys such as `__proto__` included, so only own keys count.
 * undefined: the table is too deep, or larger than `maxBytes` as JSON.
 */
export function plainHeaders(
  headers: object | undefined,
  maxBytes: number,
): Readonly<Record<string, unknown>> | undefined {
  if (headers === undefined) return NO_HEADERS;
  return plainTable(headers, { left: maxBytes }, 0);
}

interface Budget {
  left: number;
}

/** undefined: over the budget. */
function plainTable(table: object, budget: Budget, depth: number): Record<string, unknown> | undefined {
  const plain = Object.create(null) as Record<string, unknown>;
  for (const [key, value] of Object.entries(table) as [string, unknown][]) {
    // Quotes, colon and comma. Characters stand in for bytes here; the frame of the table bounds the rest.
    budget.left -= key.length + 4;
    if (budget.left < 0) return undefined;
    const item = plainValue(value, budget, depth);
    if (item === undefined) return undefined;
    plain[key] = item;
  }
  return plain;
}

function plainValue(value: unknown, budget: Budget, depth: number): unknown {
  const spend = (bytes: number): boolean => (budget.left -= bytes) >= 0;
  switch (typeof value) {
    case 'string':
      return spend(value.length + 2) ? value : undefined;
    case 'number':
      if (!spend(8)) return undefined;
      return Number.isFinite(value) ? value : null;
    case 'boolean':
      return spend(5) ? value : undefined;
    case 'object':
      break;
    default:
      return null;
  }
  if (value === null) return spend(4) ? null : undefined;
  if (depth >= MAX_DEPTH) return undefined;
  if (Buffer.isBuffer(value)) return spend(value.length * 1.4) ? value.toString('base64') : undefined;
  if (Array.isArray(value)) {
    const items: unknown[] = [];
    for (const item of value as unknown[]) {
      const plain = spend(1) ? plainValue(item, budget, depth + 1) : undefined;
      if (plain === undefined) return undefined;
      items.push(plain);
    }
    return items;
  }
  if (Object.hasOwn(value, '!')) return plainTyped(value, budget);
  return plainTable(value, budget, depth + 1);
}

/** amqplib wraps the types that JavaScript lacks: `{ '!': 'timestamp', value: 1 }`. A header can be forged to look like one. */
function plainTyped(value: object, budget: Budget): unknown {
  budget.left -= 16;
  if (budget.left < 0) return undefined;
  const { '!': type, value: inner } = value as { '!'?: unknown; value?: unknown };
  if (type === 'timestamp' && typeof inner === 'number') return inner * 1_000;
  if (type === 'decimal' && typeof inner === 'object' && inner !== null) {
    const { places, digits } = inner as { places?: unknown; digits?: unknown };
    if (typeof places === 'number' && typeof digits === 'number') return digits / 10 ** places;
  }
  return null;
}
