import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { createRouteBook } from '../../src/gateway/http/route-book.ts';

test('a path has the methods of all the routes that fit it', () => {
  const book = createRouteBook();
  book.add('POST', '/1/lambdas');
  book.add(['GET', 'HEAD'], '/1/lambdas');
  book.add('GET', '/1/lambdas/:id');
  book.add('PUT', '/1/lambdas/validate');
  book.add(['GET', 'POST'], '/files/*');
  assert.deepEqual(book.methodsOf('/1/lambdas'), ['GET', 'HEAD', 'POST']);
  assert.deepEqual(book.methodsOf('/1/lambdas/x'), ['GET']);
  assert.deepEqual(book.methodsOf('/1/lambdas/validate'), ['GET', 'PUT']);
  assert.deepEqual(book.methodsOf('/files/a/b/c'), ['GET', 'POST']);
  for (const unknown of ['/', '', '/1', '/1/lambdas/', '/1/lambdas/x/y', '/files', '/1/Lambdas'])
    assert.deepEqual(book.methodsOf(unknown), [], unknown);
});

test('a route for every path says nothing of one', () => {
  const book = createRouteBook();
  book.add('OPTIONS', '*');
  assert.deepEqual(book.methodsOf('/anything'), []);
});
