import type { Adapter, AdapterPayload } from 'oidc-provider';

/** oidc-provider's storage, in this process: what the facade knows is gone when it stops. */
export function memoryAdapter(): (model: string) => Adapter {
  const all = new Map<string, AdapterPayload>();
  const until = new Map<string, number>();
  const get = (key: string) => {
    if ((until.get(key) ?? Infinity) < Date.now()) all.delete(key);
    return all.get(key);
  };
  return (model) => ({
    upsert: (id, payload, expiresIn) => {
      all.set(`${model}:${id}`, payload);
      if (expiresIn) until.set(`${model}:${id}`, Date.now() + expiresIn * 1000);
      return Promise.resolve();
    },
    find: (id) => Promise.resolve(get(`${model}:${id}`)),
    findByUid: (uid) =>
      Promise.resolve(
        [...all].find(([key, p]) => key.startsWith(`${model}:`) && p.uid === uid)?.[1],
      ),
    findByUserCode: () => Promise.resolve(undefined),
    consume: (id) => {
      const payload = get(`${model}:${id}`);
      if (payload) payload.consumed = Math.floor(Date.now() / 1000);
      return Promise.resolve();
    },
    destroy: (id) => {
      all.delete(`${model}:${id}`);
      return Promise.resolve();
    },
    revokeByGrantId: (grant) => {
      for (const [key, payload] of all) if (payload.grantId === grant) all.delete(key);
      return Promise.resolve();
    },
  });
}
