import test from 'ava';
import { type Member, Roster } from './roster.ts';

class Named implements Member {
  place = -1;
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

const names = (roster: Roster<Named>): string[] =>
  roster
    .all()
    .map((m) => m.name)
    .sort();

test('members come and go in any order', (t) => {
  const roster = new Roster<Named>();
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((n) => new Named(n)) as [Named, Named, Named, Named];
  for (const m of [a, b, c]) roster.add(m);
  t.true(roster.delete(a));
  t.deepEqual(names(roster), ['b', 'c']);
  t.true(roster.delete(c), 'the one that was moved');
  roster.add(d);
  roster.add(a);
  t.deepEqual(names(roster), ['a', 'b', 'd']);
  t.true(roster.delete(a), 'the last one');
  t.is(roster.size, 2);
});

test('who is not there is not deleted, nor is whoever has its old place', (t) => {
  const roster = new Roster<Named>();
  const [a, b] = [new Named('a'), new Named('b')];
  t.false(roster.delete(a));
  roster.add(a);
  roster.add(b);
  t.true(roster.delete(a));
  t.false(roster.delete(a));
  t.deepEqual(names(roster), ['b']);
});

test('a list of all stays while members leave', (t) => {
  const roster = new Roster<Named>();
  const members = ['a', 'b', 'c'].map((n) => new Named(n));
  for (const m of members) roster.add(m);
  for (const m of roster.all()) roster.delete(m);
  t.is(roster.size, 0);
  t.true(members.every((m) => m.place === -1));
});
