import type IsolatedVm from 'isolated-vm';
import { join } from 'node:path';

export type Ivm = typeof IsolatedVm;

/** Loads the addon by its path: the package's own loader searches folders that a jailed runner can't read. */
export function loadAddon(imageDir: string): Ivm {
  const module: { exports: { ivm?: Ivm } } = { exports: {} };
  process.dlopen(module, join(imageDir, 'isolated_vm.node'));
  const { ivm } = module.exports;
  if (ivm === undefined) throw new Error('isolated_vm.node exports no ivm');
  return ivm;
}
