import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPublicAddress } from '../../src/services/egress/addresses.ts';
import { compileEgressPolicy, egressProblems, parseEgressRule } from '../../src/services/egress/rules.ts';

test('addresses that are nobody’s public server are not public', () => {
  for (const address of [
    '0.0.0.0',
    '10.0.0.1',
    '100.64.0.1',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.1',
    '192.0.2.1',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%eth0',
    'ff02::1',
    '2001:db8::1',
    'not an address',
    '',
  ])
    assert.equal(isPublicAddress(address), false, address);
  for (const address of [
    '8.8.8.8',
    '1.1.1.1',
    '172.32.0.1',
    '100.128.0.1',
    '2606:4700:4700::1111',
    '2a00:1450:4001::1',
  ])
    assert.equal(isPublicAddress(address), true, address);
});

test('without a list, or with an empty one, nothing is allowed', () => {
  for (const lists of [[], [[]], [['*'], []]]) {
    const policy = compileEgressPolicy(lists);
    assert.equal(policy.allowsHost('example.com', 443), false);
    assert.equal(policy.allowsAddress('example.com', '93.184.215.14', 443), false);
  }
});

test('a name allows its own public addresses on 80 and 443, or on the port that it names', () => {
  const policy = compileEgressPolicy([['example.com', 'db.example.com:5432', '*.wild.example:8443']]);
  assert.equal(policy.allowsHost('example.com', 443), true);
  assert.equal(policy.allowsHost('example.com', 80), true);
  assert.equal(policy.allowsHost('example.com', 8080), false);
  assert.equal(policy.allowsHost('sub.example.com', 443), false);
  assert.equal(policy.allowsHost('notexample.com', 443), false);
  assert.equal(policy.allowsHost('db.example.com', 5432), true);
  assert.equal(policy.allowsHost('db.example.com', 443), false);
  assert.equal(policy.allowsHost('a.b.wild.example', 8443), true);
  assert.equal(policy.allowsHost('wild.example', 8443), false);
});

test('a name that resolves to a private address is refused: rebinding gains nothing', () => {
  const policy = compileEgressPolicy([['example.com', '*']]);
  for (const address of ['127.0.0.1', '10.0.0.1', '169.254.169.254', '::1', '::ffff:10.0.0.1'])
    assert.equal(policy.allowsAddress('example.com', address, 443), false, address);
  assert.equal(policy.allowsAddress('example.com', '93.184.215.14', 443), true);
});

test('a private address is reached only where an address or a range names it', () => {
  const policy = compileEgressPolicy([['10.1.0.0/16:8080', '127.0.0.1:3000', '[fd00::]/8:443']]);
  assert.equal(policy.allowsHost('10.1.2.3', 8080), true);
  assert.equal(policy.allowsHost('10.2.0.1', 8080), false);
  assert.equal(policy.allowsHost('10.1.2.3', 80), false);
  assert.equal(policy.allowsHost('127.0.0.1', 3000), true);
  assert.equal(policy.allowsHost('127.0.0.2', 3000), false);
  assert.equal(policy.allowsHost('fd12::1', 443), true);
  assert.equal(policy.allowsAddress('inner.example', '10.1.9.9', 8080), true);
  assert.equal(policy.allowsAddress('inner.example', '10.9.9.9', 8080), false);
});

test('a destination must be on every list: a lambda can only narrow what its account has', () => {
  const policy = compileEgressPolicy([['*.example.com'], ['api.example.com', 'evil.example']]);
  assert.equal(policy.allowsHost('api.example.com', 443), true);
  assert.equal(policy.allowsHost('www.example.com', 443), false);
  assert.equal(policy.allowsHost('evil.example', 443), false);
});

test('rules that mean nothing are refused with what is wrong', () => {
  for (const rule of [
    '',
    'http://example.com',
    'example.com:0',
    'example.com:70000',
    'exa mple.com',
    'example.com/24',
    '10.0.0.0/33',
    '[::1',
    'a..b',
    '*.*',
    'x'.repeat(300),
  ]) {
    assert.throws(() => parseEgressRule(rule), TypeError, rule);
  }
  assert.equal(egressProblems(['ok.example', 'not ok', '10.0.0.0/8']).length, 1);
});
