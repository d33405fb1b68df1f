import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MAX_CONFIG_JSON_BYTES, parseConfig } from '../../src/archive/config-file.ts';
import { area } from './runs.ts';

const { holds } = area(3);

describe('lambda_config.yml holds for', () => {
  it('whatever JSON can say, written as JSON', () => {
    const tree = fc.dictionary(
      fc.string({ maxLength: 10 }).filter((key) => key !== '__proto__' && key !== '<<'),
      fc.jsonValue({ maxDepth: 4 }),
      { maxKeys: 6 },
    );
    holds(
      fc.property(tree, (value) => {
        const json = JSON.stringify(value);
        const { config, problems } = parseConfig(Buffer.from(json));
        // YAML's own limits: numbers that only JSON writes so, keys that are too long, prototypes further down.
        if (problems.length > 0) return;
        assert.deepEqual(config, JSON.parse(json));
      }),
    );
  });
  it('any text: an answer, never a throw, and only what JSON can hold', () => {
    const piece = fc.constantFrom(
      'a: ',
      'b:\n',
      '  ',
      '- ',
      '&x ',
      '*x',
      '<<: ',
      '!t ',
      '!!map ',
      '{',
      '}',
      '[',
      ']',
      ', ',
      '"',
      "'",
      '|',
      '>',
      '---',
      '\n',
      '? ',
      '#',
      '%',
      '.inf',
      '1e9',
      '~',
      '__proto__',
      '\t',
      '\u0000',
    );
    const text = fc.oneof(
      fc.string({ maxLength: 80, unit: 'binary' }),
      fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join('')),
    );
    holds(
      fc.property(text, (source) => {
        const { config, problems } = parseConfig(Buffer.from(source));
        assert.ok(problems.every(({ line = 1, column = 1 }) => line >= 1 && column >= 1));
        assert.deepEqual(JSON.parse(JSON.stringify(config)), config);
      }),
    );
  });
  it('aliases of aliases: what they stand for is bounded, however it is folded', () => {
    const line = fc.record({
      kind: fc.constantFrom('list', 'map', 'merge'),
      of: fc.nat({ max: 20 }),
      times: fc.integer({ min: 1, max: 12 }),
    });
    holds(
      fc.property(fc.array(line, { maxLength: 14 }), (lines) => {
        const { config, problems } = parseConfig(Buffer.from(lines.map(folded).join('\n')));
        const bytes = Buffer.byteLength(JSON.stringify(config));
        assert.ok(bytes <= MAX_CONFIG_JSON_BYTES, `${bytes} bytes`);
        assert.ok(config === null || problems.length === 0);
      }),
    );
  });
});

/** A line that repeats an earlier one so many times. */
function folded(line: { kind: string; of: number; times: number }, index: number): string {
  const name = (n: number): string => `k${n}: &k${n}`;
  if (index === 0) return `${name(0)} {x: ${'lol'.repeat(line.times)}}`;
  const alias = `*k${line.of % index}`;
  const repeated = Array.from({ length: line.times }, () => alias);
  if (line.kind === 'list') return `${name(index)} [${repeated.join(', ')}]`;
  if (line.kind === 'map')
    return `${name(index)} {${repeated.map((each, n) => `m${n}: ${each}`).join(', ')}}`;
  return `${name(index)} {<<: [${repeated.join(', ')}]}`;
}
