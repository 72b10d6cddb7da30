import { needs } from '../../tests/peers/lib/needs.ts';
import { startOpenBao } from '../../tests/peers/openbao.ts';
import { contract } from './simulator.contract.ts';

needs('openbao')('the real server, by the suite that the simulator is held to', () => {
  contract(async () => {
    const bao = await startOpenBao({ unseal: false });
    return {
      url: bao.url,
      ca: bao.ca!,
      keys: bao.keys,
      restart: () => bao.restart(),
      [Symbol.asyncDispose]: () => bao.stop(),
    };
  });
});
