import type { RegistryEvents } from './types.ts';

export interface Events {
  on<K extends keyof RegistryEvents>(event: K, listener: (event: RegistryEvents[K]) => void): () => void;
  emit<K extends keyof RegistryEvents>(event: K, what: RegistryEvents[K]): void;
}

/** Tells listeners what changed. One that throws doesn't keep the others from hearing: the change has happened. */
export function createEvents(onError: (error: unknown, what: string) => void): Events {
  type Listeners = { [K in keyof RegistryEvents]: Set<(event: RegistryEvents[K]) => void> };
  const listeners: Listeners = {
    lambdaChanged: new Set(),
    lambdaDeleted: new Set(),
    accountCreated: new Set(),
    accountChanged: new Set(),
    accountDeleted: new Set(),
    limitsChanged: new Set(),
    tokenRevoked: new Set(),
  };
  return {
    on(event, listener) {
      listeners[event].add(listener);
      return () => void listeners[event].delete(listener);
    },
    emit(event, what) {
      for (const listener of listeners[event]) {
        try {
          listener(what);
        } catch (error) {
          onError(error, `a listener of ${event}`);
        }
      }
    },
  };
}
