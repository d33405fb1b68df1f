/** FormData, after https://xhr.spec.whatwg.org/#interface-formdata. */
import { brands } from './brands.ts';
import { fileFrom, isBlob, isFile } from './blob.ts';
import type { File } from './blob.ts';
import { iteratePairs } from './pair-iterator.ts';
import { exposeInterface, requireArguments, toUsvString } from './webidl.ts';

export type FormEntry = readonly [name: string, value: string | File];

interface FormState {
  entries: FormEntry[];
}

let stateOf: (form: FormData) => FormState;
let isFormData: (value: unknown) => value is FormData;

export class FormData {
  #state: FormState = { entries: [] };

  constructor(form?: unknown) {
    if (form !== undefined) throw new TypeError('FormData constructor: there are no HTML forms here.');
  }

  static {
    stateOf = (form) => form.#state;
    isFormData = (value): value is FormData => typeof value === 'object' && value !== null && #state in value;
  }

  append(name: unknown, value: unknown, filename?: unknown): void {
    const state = this.#state;
    requireArguments(arguments.length, 2, 'FormData.append');
    state.entries.push(entryOf(name, value, filename, arguments.length > 2));
  }

  delete(name: unknown): void {
    const state = this.#state;
    requireArguments(arguments.length, 1, 'FormData.delete');
    const key = toUsvString(name);
    state.entries = state.entries.filter((entry) => entry[0] !== key);
  }

  get(name: unknown): string | File | null {
    const state = this.#state;
    requireArguments(arguments.length, 1, 'FormData.get');
    const key = toUsvString(name);
    return state.entries.find((entry) => entry[0] === key)?.[1] ?? null;
  }

  getAll(name: unknown): (string | File)[] {
    const state = this.#state;
    requireArguments(arguments.length, 1, 'FormData.getAll');
    const key = toUsvString(name);
    return state.entries.filter((entry) => entry[0] === key).map((entry) => entry[1]);
  }

  has(name: unknown): boolean {
    const state = this.#state;
    requireArguments(arguments.length, 1, 'FormData.has');
    const key = toUsvString(name);
    return state.entries.some((entry) => entry[0] === key);
  }

  set(name: unknown, value: unknown, filename?: unknown): void {
    const state = this.#state;
    requireArguments(arguments.length, 2, 'FormData.set');
    const entry = entryOf(name, value, filename, arguments.length > 2);
    const first = state.entries.findIndex((other) => other[0] === entry[0]);
    if (first < 0) state.entries.push(entry);
    else
      state.entries = state.entries
        .filter((other, i) => i <= first || other[0] !== entry[0])
        .with(first, entry);
  }
}
exposeInterface(FormData, 'FormData');
iteratePairs(FormData.prototype, 'FormData', (form) => stateOf(form).entries);

brands.isFormData = isFormData;

export { isFormData };

export function formEntries(form: FormData): readonly FormEntry[] {
  return stateOf(form).entries;
}

export function formFrom(entries: FormEntry[]): FormData {
  const form = new FormData();
  stateOf(form).entries = entries;
  return form;
}

function entryOf(name: unknown, value: unknown, filename: unknown, named: boolean): FormEntry {
  const key = toUsvString(name);
  if (!isBlob(value)) {
    if (named && filename !== undefined) {
      throw new TypeError('FormData: with a file name, the value must be a Blob.');
    }
    return [key, toUsvString(value)];
  }
  const file = named && filename !== undefined ? toUsvString(filename) : undefined;
  if (isFile(value) && file === undefined) return [key, value];
  const modified = isFile(value) ? value.lastModified : Date.now();
  return [key, fileFrom(value, file ?? 'blob', modified)];
}
