// Where links lead: the room of the tests, and nowhere else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TEST_ROOM, isRoomId, isTest, roomOf } from '../app/room-link.js';

test('a link to the tests leads to their room, and one to another room is none', () => {
  assert.equal(isTest(new URL('http://localhost/#test')), true);
  assert.equal(isRoomId(TEST_ROOM), true);
  for (const other of ['http://localhost/', 'http://localhost/#room=test', 'http://localhost/?test'])
    assert.equal(isTest(new URL(other)), false);
  assert.equal(roomOf(new URL('http://localhost/#test')), '');
});
