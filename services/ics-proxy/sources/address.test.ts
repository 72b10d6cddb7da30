import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { admit, isCidr, judge } from './address.ts';

const no = (why: string) => ({ allowed: false, why: `address is ${why}` });
const yes = { allowed: true };

describe('judge', () => {
  test.each([
    ['8.8.8.8', yes],
    ['2606:4700::1111', yes],
    ['127.0.0.1', no('loopback')],
    ['127.255.255.254', no('loopback')],
    ['::1', no('loopback')],
    ['10.1.2.3', no('private')],
    ['172.16.0.1', no('private')],
    ['172.31.255.255', no('private')],
    ['172.32.0.1', yes],
    ['192.168.0.1', no('private')],
    ['169.254.169.254', no('link-local')],
    ['fe80::1', no('link-local')],
    ['fe80::1%eth0', no('link-local')],
    ['100.64.0.1', no('carrier-grade NAT')],
    ['100.127.255.255', no('carrier-grade NAT')],
    ['fd12:3456::1', no('unique-local')],
    ['fc00::1', no('unique-local')],
    ['224.0.0.251', no('multicast')],
    ['ff02::fb', no('multicast')],
    ['0.0.0.0', no('unspecified')],
    ['0.1.2.3', no('unspecified')],
    ['::', no('unspecified')],
    ['255.255.255.255', no('broadcast')],
    ['240.0.0.1', no('reserved')],
    ['192.0.2.1', no('reserved')],
    ['198.18.0.1', no('reserved')],
    ['2001:db8::1', no('reserved')],
    ['fec0::1', no('reserved')],
    ['4000::1', no('reserved')],
    // an IPv4 address inside
    ['::ffff:127.0.0.1', no('loopback')],
    ['::ffff:a9fe:a9fe', no('link-local')],
    ['::ffff:8.8.8.8', yes],
    ['::ffff:0:10.0.0.1', no('private')],
    ['::127.0.0.1', no('loopback')],
    ['::10.0.0.1', no('private')],
    ['64:ff9b::127.0.0.1', no('loopback')],
    ['64:ff9b::192.168.1.1', no('private')],
    ['64:ff9b::8.8.8.8', yes],
    ['64:ff9b:1::8.8.8.8', no('reserved')],
    ['2002:7f00:1::', no('loopback')],
    ['2002:a9fe:a9fe::1', no('link-local')],
    ['2002:808:808::1', yes],
    ['2001:0:a00:1::f7f7:f7f7', no('private')], // Teredo: the server
    ['2001:0:808:808::80ff:fffe', no('loopback')], // Teredo: the client, its bits flipped
    ['2001:0:808:808::f7f7:f7f7', yes],
    // other ways to write one
    ['0177.0.0.1', no('loopback')],
    ['0x7f000001', no('loopback')],
    ['2130706433', no('loopback')],
    ['[::1]', no('loopback')],
    ['localhost', no('malformed')],
    ['', no('malformed')],
    ['127.0.0.1.', no('malformed')],
  ])('%s', (literal, decision) => expect(judge(literal, false)).toEqual(decision));

  test('allowPrivate: true opens the house and the lab, not the cloud’s metadata', () => {
    const open = [
      '127.0.0.1',
      '::1',
      '10.0.0.1',
      '192.168.1.1',
      '100.64.0.1',
      'fd00::1',
      '::ffff:10.0.0.1',
    ];
    const shut = [
      '169.254.169.254',
      'fe80::1',
      '0.0.0.0',
      '::',
      '224.0.0.1',
      'ff02::1',
      '240.0.0.1',
    ];
    for (const address of open) expect(judge(address, true), address).toEqual(yes);
    for (const address of shut) expect(judge(address, true).allowed, address).toBe(false);
  });

  test('a list of CIDRs opens these alone, however they are written', () => {
    const grant = ['10.20.0.0/16', 'fd00:1::/32', '169.254.1.1/32'];
    const open = [
      '10.20.3.4',
      '::ffff:10.20.3.4',
      '64:ff9b::10.20.3.4',
      'fd00:1::9',
      '169.254.1.1',
      '8.8.8.8',
    ];
    for (const address of open) expect(judge(address, grant), address).toEqual(yes);
    for (const address of ['10.21.0.1', '127.0.0.1', 'fd00:2::1', '169.254.169.254']) {
      expect(judge(address, grant).allowed, address).toBe(false);
    }
  });

  test('no IPv4 address is judged otherwise for being wrapped, and nothing throws', () => {
    fc.assert(fc.property(fc.ipV4(), (v4) => {
      const plain = judge(v4, false);
      for (const wrapped of [`::ffff:${v4}`, `64:ff9b::${v4}`, `[::ffff:${v4}]`]) {
        expect(judge(wrapped, false)).toEqual(plain);
      }
    }));
    fc.assert(fc.property(fc.oneof(fc.string(), fc.ipV6()), (text) => void judge(text, false)));
  });
});

test('isCidr', () => {
  expect(['10.0.0.0/8', 'fd00::/8', '127.0.0.1/32'].every(isCidr)).toBe(true);
  expect(['10.0.0.1', 'lan', '10.0.0.0/33', ''].some(isCidr)).toBe(false);
});

describe('admit', () => {
  const never = () => Promise.reject(new Error('asked the resolver'));

  test('judges a literal host without asking the resolver', async () => {
    expect(await admit(new URL('http://8.8.8.8/'), false, never)).toEqual([
      { address: '8.8.8.8', family: 4 },
    ]);
    await expect(admit(new URL('http://[::ffff:127.0.0.1]/'), false, never)).rejects.toThrow(
      'address is loopback; allow it with allowPrivate',
    );
  });

  test('one refused address refuses the host', async () => {
    const lookup = async () => [
      { address: '8.8.8.8', family: 4 as const },
      { address: '::1', family: 6 as const },
    ];
    await expect(admit(new URL('http://mixed.example/'), false, lookup)).rejects.toMatchObject({
      stalled: true,
    });
  });

  test('a name without addresses is unknown', async () => {
    await expect(admit(new URL('http://no.example/'), false, async () => [])).rejects.toThrow(
      'host name is unknown',
    );
  });
});
